package acme

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge lets certmagic, which logs by zap, write to our log.
func bridge(log *slog.Logger) *zap.Logger { return zap.New(core{log}) }

// core is a zapcore.Core on a slog.Logger.
type core struct{ log *slog.Logger }

// level maps what certmagic has to say of its own work, step by step, to our details.
func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (c core) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), level(l))
}

func (c core) With(fields []zapcore.Field) zapcore.Core { return core{c.log.With(args(fields)...)} }

func (c core) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Log(context.Background(), level(e.Level), "acme: "+e.Message, args(fields)...)
	return nil
}

func (core) Sync() error { return nil }

func args(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	var all []any
	for _, f := range fields { // in their order
		if v, ok := m.Fields[f.Key]; ok {
			all = append(all, f.Key, v)
		}
	}
	return all
}
