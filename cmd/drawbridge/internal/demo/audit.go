package demo

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// auditLine is a line of Drawbridge's audit trail.
type auditLine struct {
	Number  int
	At      time.Time
	Message string
	// Attributes are in the order in which they were logged.
	Attributes []slog.Attr
}

// Value is an attribute as text, empty where the line has none of the name.
func (l auditLine) Value(name string) string {
	for _, a := range l.Attributes {
		if a.Key == name {
			return a.Value.String()
		}
	}
	return ""
}

// refusedClaim is the message of the audit line that a refused claim gets.
const refusedClaim = "claim refused"

// auditTap is a slog.Handler that keeps the audit lines that pass through it.
type auditTap struct {
	next  slog.Handler
	lines *journal[auditLine]
	with  []slog.Attr
}

func newAuditTap(next slog.Handler) *auditTap {
	return &auditTap{next: next, lines: newJournal[auditLine](200)}
}

// Enabled implements slog.Handler. Audit lines are wanted whatever the log is
// set to.
func (t *auditTap) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || t.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (t *auditTap) Handle(ctx context.Context, r slog.Record) error {
	var attributes []slog.Attr
	isAudit := false
	look := func(a slog.Attr) bool {
		if a.Key == "audit" {
			isAudit = true
			return true
		}
		a.Value = a.Value.Resolve() // what must not print has its say
		attributes = append(attributes, a)
		return true
	}
	for _, a := range t.with {
		look(a)
	}
	r.Attrs(look)
	if isAudit {
		t.lines.add(func(n int) auditLine {
			return auditLine{Number: n, At: r.Time, Message: r.Message, Attributes: attributes}
		})
	}
	if !t.next.Enabled(ctx, r.Level) {
		return nil
	}
	return t.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t *auditTap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &auditTap{next: t.next.WithAttrs(attrs), lines: t.lines, with: slices.Concat(t.with, attrs)}
}

// WithGroup implements slog.Handler. Groups are of no interest here.
func (t *auditTap) WithGroup(name string) slog.Handler {
	return &auditTap{next: t.next.WithGroup(name), lines: t.lines, with: t.with}
}

// refusedBetween are the claims that the guard refused in a span of time,
// oldest first.
func (t *auditTap) refusedBetween(from, to time.Time) []auditLine {
	lines := slices.DeleteFunc(t.lines.newest(), func(l auditLine) bool {
		return l.Message != refusedClaim || l.At.Before(from) || l.At.After(to)
	})
	slices.Reverse(lines)
	return lines
}
