package hook

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/claims"
)

// request is the body of a call, as the contract has it.
type request struct {
	User    user                `json:"user"`
	Scopes  []string            `json:"scopes"`
	Claims  map[string]any      `json:"claims"`              // a claims.Set, spared its detour over json.Marshaler
	Context map[string][]string `json:"contextCustomParams"` // null where there is none
}

type user struct {
	ID string `json:"id"`
}

func encode(in claims.Input, have claims.Set) ([]byte, error) {
	out := request{User: user{in.User}, Scopes: in.Scopes, Claims: have}
	if out.Scopes == nil {
		out.Scopes = []string{}
	}
	if out.Claims == nil {
		out.Claims = map[string]any{}
	}
	if len(in.Context) > 0 {
		out.Context = in.Context
	}
	return json.Marshal(out)
}

// AnswerError says why the body of a 200 is no answer. Its text has names in it
// at most, no values.
type AnswerError struct {
	Outcome Outcome
	cause   error
}

func (e *AnswerError) Error() string {
	if e.cause == nil {
		return "hook answer: " + string(e.Outcome)
	}
	return "hook answer: " + string(e.Outcome) + ": " + e.cause.Error()
}

// Unwrap returns the *claims.DecodeError behind it, where there is one.
func (e *AnswerError) Unwrap() error { return e.cause }

// Decode reads the body of a 200, live or recorded: a JSON object with the
// object "claims" and perhaps other members, held to claims.HookLimits. Every
// error is an *AnswerError.
func Decode(body []byte) (claims.Set, error) {
	lim := claims.HookLimits()
	lim.Bytes = MaxAnswer
	lim.Depth++ // the claims lie one level down
	document, err := claims.DecodeObject(body, lim)
	if err != nil {
		return nil, refused(err)
	}
	object, ok := document["claims"].(map[string]any)
	if !ok {
		return nil, &AnswerError{Outcome: NoClaims}
	}
	answer := claims.Set(object)
	if err := answer.CheckNames(claims.HookLimits()); err != nil {
		return nil, refused(err)
	}
	return answer, nil
}

func refused(err error) error {
	outcome := Invalid
	if e, ok := errors.AsType[*claims.DecodeError](err); ok {
		switch e.Reason {
		case claims.TooLarge:
			outcome = TooLarge
		case claims.NotJSON, claims.NotObject:
			outcome = NotJSON
		case claims.Duplicate, claims.Twins:
			outcome = Duplicate
		}
	}
	return &AnswerError{Outcome: outcome, cause: err}
}

// judge decides by status and headers; OK means that the body is to be read.
func judge(status int, h http.Header, length int64) Outcome {
	switch {
	case status == http.StatusNoContent:
		return Unchanged
	case status == http.StatusForbidden:
		return Denied
	case status >= 300 && status < 400:
		return Redirect
	case status != http.StatusOK:
		return Status
	case !plainEncoding(h.Values("Content-Encoding")):
		return Encoding
	case !jsonType(h.Values("Content-Type")):
		return ContentType
	case length > MaxAnswer:
		return TooLarge
	}
	return OK
}

func plainEncoding(values []string) bool {
	for _, value := range values {
		if value != "" && !strings.EqualFold(strings.TrimSpace(value), "identity") {
			return false
		}
	}
	return true
}

// jsonType accepts application/json and application/…+json in UTF-8, said once.
func jsonType(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return false
	}
	sub, ok := strings.CutPrefix(media, "application/")
	if !ok || sub != "json" && !strings.HasSuffix(sub, "+json") {
		return false
	}
	charset, said := params["charset"]
	return !said || strings.EqualFold(charset, "utf-8")
}
