package wire

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Profile is the dialect in which a listener tells errors.
type Profile string

const (
	// ProfileProblem is RFC 9457, with members by which the body can also be
	// read as either of the others. It is the default.
	ProfileProblem Profile = "problem"
	// ProfileOnegini is error_code and error_message and nothing else.
	ProfileOnegini Profile = "onegini"
	// ProfileEnpowerx is message and details and nothing else.
	ProfileEnpowerx Profile = "enpowerx"
)

// ParseProfile reads a profile's name; empty is ProfileProblem.
func ParseProfile(name string) (Profile, error) {
	switch p := Profile(name); p {
	case "":
		return ProfileProblem, nil
	case ProfileProblem, ProfileOnegini, ProfileEnpowerx:
		return p, nil
	default:
		return "", fmt.Errorf("%q is not problem, onegini or enpowerx", name)
	}
}

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
	charset      = ";charset=UTF-8"
	// malformedText is what seed 004 prints for the number 1041.
	malformedText = "The request received by the server was invalid or malformed"
)

// problemBody is the superset of the three dialects.
type problemBody struct {
	Type         string   `json:"type"`
	Title        string   `json:"title"`
	Status       int      `json:"status"`
	Detail       string   `json:"detail,omitempty"`
	Instance     string   `json:"instance,omitempty"`
	ErrorCode    string   `json:"error_code"`
	ErrorMessage string   `json:"error_message"`
	Message      string   `json:"message"`
	Details      []detail `json:"details"`
}

type oneginiBody struct {
	ErrorCode    string `json:"error_code"`
	ErrorMessage string `json:"error_message"`
}

type enpowerxBody struct {
	Message string   `json:"message"`
	Details []detail `json:"details"`
}

// detail is a google.rpc.BadRequest in the JSON of protocol buffers.
type detail struct {
	Type            string      `json:"@type"`
	FieldViolations []Violation `json:"field_violations"`
}

// body is the media type and the body of a problem in this dialect.
func (p Profile) body(problem *Problem, requestID string) (string, any) {
	switch p {
	case ProfileOnegini:
		return mediaJSON, oneginiBody{problem.ErrorCode, problem.message()}
	case ProfileEnpowerx:
		return mediaJSON, enpowerxBody{problem.sentence(), problem.details()}
	default:
		b := problemBody{
			Type: "urn:bridge:error:" + problem.Code, Title: problem.Title, Status: problem.Status, Detail: problem.Detail,
			ErrorCode: problem.ErrorCode, ErrorMessage: problem.message(),
			Message: problem.sentence(), Details: problem.details(),
		}
		if requestID != "" {
			b.Instance = "urn:request:" + requestID
		}
		return mediaProblem, b
	}
}

func (p *Problem) message() string {
	if p.ErrorCode == malformedCode && p.Status == http.StatusBadRequest {
		return malformedText
	}
	return p.Title
}

func (p *Problem) sentence() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

func (p *Problem) details() []detail {
	if len(p.Violations) == 0 {
		return []detail{}
	}
	return []detail{{Type: "type.googleapis.com/google.rpc.BadRequest", FieldViolations: p.Violations}}
}

// refine gives a caller who would rather have a problem document one.
func (p Profile) refine(accept []string) Profile {
	if len(accept) > 0 && quality(accept, mediaProblem) > quality(accept, mediaJSON) {
		return ProfileProblem
	}
	return p
}

// quality is how much a caller wants a media type, by RFC 9110 §12.5.1: of the
// ranges that match the most specific one decides. Ranges that cannot be read
// are passed over; without any Accept header everything is wanted.
func quality(accept []string, media string) float64 {
	if len(accept) == 0 {
		return 1
	}
	family, _, _ := strings.Cut(media, "/")
	best, found := 0.0, -1
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := specificity(name, media, family)
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
				continue
			}
		}
		if rank > found || rank == found && rank >= 0 && q > best {
			best, found = q, rank
		}
	}
	return best
}

func specificity(name, media, family string) int {
	switch name {
	case media:
		return 2
	case family + "/*":
		return 1
	case "*/*":
		return 0
	default:
		return -1
	}
}
