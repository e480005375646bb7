# No mail server: the source straight to the sink. What this reaches is the
# ceiling of the machine and of the bench suite itself.
INPUT=$SINK_HOST:$SINK_PORT
SPOOL=
mta_version() { echo ceiling; }
mta_config() { :; }
mta_start() { :; }
mta_stop() { :; }
mta_kick() { :; }
