package delivery

import (
	"slices"

	"tenma/relay/mail"
)

// maxAddresses is how many connections one attempt may try to open. RFC 5321
// section 5.1 wants at least two; five is what large senders allow.
const maxAddresses = 5

// job is an attempt in work.
//
// What a host says to MAIL, or does not offer, need not be what the others of
// the route say: recipients that one turned away go to the next host, inside the
// same attempt, until a host takes them, refuses them for good, or none is left.
// A reply to RCPT, in contrast, is about the recipient: a greylister wants to be
// asked again, and its neighbours would only begin to count anew.
type job struct {
	a     *mail.Attempt
	key   key
	out   []mail.Outcome // by index of a.To; one without a reply is not settled
	todo  []int          // indexes into a.To that no transaction has taken
	left  int            // how many are not settled
	fresh bool           // an idle connection turned out to be dead: take a new one
	tries int            // connections that may still be opened

	avoid  []mail.Host    // hosts that could not be used, or turned somebody away
	missed *mail.Outcome  // of the former, that weighs most; nil: there are none
	away   []int          // turned away by the host in hand
	turned []mail.Outcome // by index of a.To: what the last of them said; nil: none did
}

func newJob(a *mail.Attempt) *job {
	j := &job{a: a, key: keyOf(a), out: make([]mail.Outcome, len(a.To)), todo: make([]int, len(a.To)), left: len(a.To), tries: maxAddresses}
	for i := range j.todo {
		j.todo[i] = i
	}
	return j
}

// hosts gives those of the route that this attempt has not done with.
func (j *job) hosts() []mail.Host {
	if len(j.avoid) == 0 {
		return j.a.Route.Hosts
	}
	return slices.DeleteFunc(slices.Clone(j.a.Route.Hosts), func(h mail.Host) bool {
		return slices.ContainsFunc(j.avoid, func(o mail.Host) bool { return sameHost(&h, &o) })
	})
}

// sameHost reports one host, of whatever preference: a connection may have been
// opened for another domain of the lane, which prefers its hosts in another order.
func sameHost(a, b *mail.Host) bool {
	return a.Port == b.Port && a.Addr == b.Addr && a.Name == b.Name
}

// turnAway notes that the host in hand does not take a message for the
// recipients in to. It is false where no other host is left that could.
func (s *session) turnAway(j *job, to []int, o mail.Outcome) bool {
	others := slices.ContainsFunc(j.hosts(), func(h mail.Host) bool { return !sameHost(&h, &s.k.target) })
	if !others || j.tries == 0 || s.ctx.Err() != nil {
		return false
	}
	if j.turned == nil {
		j.turned = make([]mail.Outcome, len(j.out))
	}
	for _, i := range to {
		if j.out[i].Reply.Code == 0 {
			j.away = append(j.away, i)
			j.turned[i] = o
			s.client.deps.Metrics.Elsewhere.Inc()
		}
	}
	return true
}

// turnAllAway is turnAway for a transaction and for all that was to follow it.
func (s *session) turnAllAway(p *piece, o mail.Outcome) bool {
	j := p.job
	if !s.turnAway(j, p.to, o) {
		return false
	}
	s.turnAway(j, j.todo, o)
	j.todo = nil
	return true
}

// goElsewhere leaves the host in hand with those that it turned away.
func (s *session) goElsewhere(j *job) {
	j.avoid = append(j.avoid, s.k.target)
	j.todo, j.away = j.away, nil
	s.other, s.job = j, nil
}

// weigh gives the outcome for a recipient for which no further host could be
// reached: what the host said that turned it away, if any did, tells more.
func (j *job) weigh(i int, o mail.Outcome) mail.Outcome {
	if j.turned == nil || j.turned[i].Reply.Code == 0 || o.Untried {
		return o
	}
	t := j.unlessMissed(j.turned[i], &o)
	t.Phases = o.Phases
	return t
}

// unlessMissed gives o, by which a host cannot take the message. If that was for
// good, but another host, which perhaps can, was missed for now, it gives that.
func (j *job) unlessMissed(o mail.Outcome, missed *mail.Outcome) mail.Outcome {
	for _, m := range [...]*mail.Outcome{missed, j.missed} {
		if m != nil && m.Reply.Temporary() && !o.Reply.Temporary() {
			return *m
		}
	}
	return o
}
