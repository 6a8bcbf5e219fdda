package bridge

import (
	"encoding/json"
	"strconv"
	"time"
)

// User is a user as the Users contract knows one. Its JSON is exactly the ten
// members of the contract's schema: unknown times and counts are left out,
// everything else is always there, and nothing is ever added.
type User struct {
	// Tenant is the slug of the user's tenant.
	Tenant string
	// ID is the user's id in the directory, or the UUID of ours.
	ID string
	// Customer is the customer's id in the tenant's scope, empty when unknown.
	Customer string
	// Email is the address as the directory has it, empty when there is none.
	Email string
	// CreateTime, UpdateTime and LoginTime are zero when they are not known.
	CreateTime, UpdateTime, LoginTime time.Time
	// LoginsCount is nil when nobody counted.
	LoginsCount   *int64
	EmailVerified bool
	Blocked       bool
}

// MarshalJSON implements json.Marshaler as the JSON mapping of protocol buffers
// has it: 64-bit numbers are strings, times are RFC 3339 in UTC with 0, 3, 6 or
// 9 digits of a second.
func (u User) MarshalJSON() ([]byte, error) {
	count := ""
	if u.LoginsCount != nil && *u.LoginsCount >= 0 {
		count = strconv.FormatInt(*u.LoginsCount, 10)
	}
	return json.Marshal(struct {
		Tenant        string `json:"tenant"`
		ID            string `json:"id"`
		Customer      string `json:"customer"`
		Email         string `json:"email"`
		CreateTime    string `json:"create_time,omitempty"`
		UpdateTime    string `json:"update_time,omitempty"`
		LoginsCount   string `json:"logins_count,omitempty"`
		LoginTime     string `json:"login_time,omitempty"`
		EmailVerified bool   `json:"email_verified"`
		Blocked       bool   `json:"blocked"`
	}{
		u.Tenant, u.ID, u.Customer, u.Email, timestamp(u.CreateTime), timestamp(u.UpdateTime),
		count, timestamp(u.LoginTime), u.EmailVerified, u.Blocked,
	})
}

// timestamp leaves out what a google.protobuf.Timestamp cannot hold.
func timestamp(t time.Time) string {
	t = t.UTC()
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return ""
	}
	layout := "2006-01-02T15:04:05.000000000Z"
	switch nanos := t.Nanosecond(); {
	case nanos == 0:
		layout = "2006-01-02T15:04:05Z"
	case nanos%1e6 == 0:
		layout = "2006-01-02T15:04:05.000Z"
	case nanos%1e3 == 0:
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return t.Format(layout)
}
