package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Tenant is what the Users contract has to know about a tenant.
type Tenant struct {
	// Place is the tenant's home, where links and mails are kept; its Tenant is
	// the slug. A directory that has persons elsewhere finds them by their id.
	Place store.Place
	// Order says how far the order of the tenant's events reaches: "tenant" or
	// "person". Capabilities tells it; empty is not told.
	Order string
	// URL is where browsers find the tenant's public pages, without a slash at
	// the end. Links in mails begin with it.
	URL string
}

// Rate is how often something may be done: Burst times at once, and once more
// every so often.
type Rate struct {
	Burst int
	Every time.Duration
}

// Options say what a Service works with. Directory, Engine, Tenant and Now are
// required.
type Options struct {
	Directory Directory
	// Engine keeps the verification links; Sealer, when not nil, seals them.
	Engine store.Engine
	Sealer *store.Sealer
	// Tenant finds a tenant by its slug.
	Tenant func(slug string) (Tenant, bool)
	// Enqueue answers the operations that store a mail job, for the commit that
	// the mail belongs to. Nil: this Drawbridge sends no mail.
	Enqueue func(at store.Place, m Mail) ([]store.Op, error)
	// Send renders a mail and hands it to the relay, under an id that is the
	// same on every attempt; see ErrUndeliverable.
	Send func(ctx context.Context, id string, m Mail) error
	// InternationalMail says that the relay carries mail to local parts that
	// are not ASCII (RFC 6531).
	InternationalMail bool
	// Audit hears of every call; nil is nobody.
	Audit func(ctx context.Context, r Record)
	// PerAddress limits mails of one kind to one address, PerCaller requests
	// for mails by one caller. Zero: 5 and one more every 5 minutes, 100 and one
	// more every second.
	PerAddress, PerCaller Rate
	// Patience is how long a call waits for another about the same person; 5
	// seconds when zero.
	Patience time.Duration
	// Now is the clock of the limits; deadlines are judged by the engine's.
	Now func() time.Time
}

// Service is the Users contract around a directory. Its methods may be called
// concurrently and answer an *Error where a caller may be told why.
type Service struct {
	o         Options
	links     *store.Table[link]
	persons   sequence
	addresses *wire.Limiter
	callers   *wire.Limiter
	key       [32]byte // of the limiters' keys, so that they hold no address
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.Engine == nil || o.Tenant == nil || o.Now == nil {
		return nil, errors.New("bridge: needs an engine, tenants and a clock")
	}
	if o.Directory.ResetPage != nil && o.Directory.Resets == nil {
		return nil, errors.New("bridge: a directory with reset pages must say which tenants have one")
	}
	if o.Audit == nil {
		o.Audit = func(context.Context, Record) {}
	}
	setDefault(&o.Patience, 5*time.Second)
	setDefault(&o.PerAddress, Rate{Burst: 5, Every: 5 * time.Minute})
	setDefault(&o.PerCaller, Rate{Burst: 100, Every: time.Second})
	s := &Service{o: o, links: store.NewTable[link](o.Engine, store.TableOptions{Kind: linkKind, Schema: 1, Sealer: o.Sealer})}
	rand.Read(s.key[:])
	var err error
	if s.addresses, err = limiter(o.PerAddress, o.Now); err != nil {
		return nil, err
	}
	s.callers, err = limiter(o.PerCaller, o.Now)
	return s, err
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func limiter(r Rate, now func() time.Time) (*wire.Limiter, error) {
	return wire.NewLimiter(wire.LimiterOptions{Burst: r.Burst, Every: r.Every, Keys: 10_000, Now: now})
}

// Get reads a user by id.
func (s *Service) Get(ctx context.Context, at store.Place, id string) (u User, err error) {
	defer func() { s.audit(ctx, opGet, at, u.ID, err) }()
	return s.get(ctx, at, id)
}

// FindByEmail reads the user with an address.
func (s *Service) FindByEmail(ctx context.Context, at store.Place, email string) (u User, err error) {
	defer func() { s.audit(ctx, opFindByEmail, at, u.ID, err) }()
	if s.o.Directory.FindByEmail == nil {
		return User{}, Fail(KindNotSupported)
	}
	return s.find(ctx, at, email)
}

// FindByCustomer reads the user with a customer id.
func (s *Service) FindByCustomer(ctx context.Context, at store.Place, customer string) (u User, err error) {
	defer func() { s.audit(ctx, opFindByCustomer, at, u.ID, err) }()
	switch {
	case s.o.Directory.FindByCustomer == nil:
		return User{}, Fail(KindNotSupported)
	case customer == "" || !wire.ValidText(customer, maxID):
		return User{}, Fail(KindMalformedCustomer)
	}
	u, err = s.o.Directory.FindByCustomer(ctx, at, customer)
	if err == nil && u.Customer != customer {
		err = Fail(KindNotFound).Because(errors.New("the directory answered with another customer"))
	}
	return s.owned(at, u, err)
}

// Delete removes a user and ends their sessions; KindNotFound the second time.
func (s *Service) Delete(ctx context.Context, at store.Place, id string) (err error) {
	person := ""
	defer func() { s.audit(ctx, opDelete, at, person, err) }()
	if s.o.Directory.Delete == nil {
		return Fail(KindNotSupported)
	}
	return s.alone(ctx, at, id, func(u User) error {
		person = u.ID
		// First, because a link of somebody who stays costs them another mail,
		// and an address of somebody who is gone must not stay.
		if err := s.dropLink(ctx, at, u.ID); err != nil {
			return err
		}
		return s.o.Directory.Delete(ctx, at, u.ID)
	})
}

// MarkEmailVerified marks the user's address as verified. When an address is
// given it must be the current one. Doing it again is no error.
func (s *Service) MarkEmailVerified(ctx context.Context, at store.Place, id, email string) (err error) {
	person := ""
	defer func() { s.audit(ctx, opMark, at, person, err) }()
	if s.o.Directory.MarkEmailVerified == nil {
		return Fail(KindNotSupported)
	}
	if email != "" {
		if _, err := NormalEmail(email); err != nil {
			return err
		}
	}
	return s.alone(ctx, at, id, func(u User) error {
		person = u.ID
		switch {
		case u.Email == "":
			return Fail(KindNoEmail)
		case email != "" && !sameEmail(email, u.Email):
			return Fail(KindEmailChanged)
		case u.EmailVerified:
			return nil
		}
		return s.o.Directory.MarkEmailVerified(ctx, at, u.ID, u.Email)
	})
}

// maxID is how many bytes an id or a customer id may have.
const maxID = 256

func (s *Service) get(ctx context.Context, at store.Place, id string) (User, error) {
	if !wire.ValidName(id) {
		return User{}, Fail(KindMalformedID)
	}
	if s.o.Directory.Get == nil {
		return User{}, Fail(KindNotSupported)
	}
	u, err := s.o.Directory.Get(ctx, at, id)
	return s.owned(at, u, err)
}

// find reads by address and compares again: directories are known to ignore
// filters that they do not understand.
func (s *Service) find(ctx context.Context, at store.Place, email string) (User, error) {
	if _, err := NormalEmail(email); err != nil {
		return User{}, err
	}
	u, err := s.o.Directory.FindByEmail(ctx, at, email)
	if err == nil && !sameEmail(u.Email, email) {
		err = Fail(KindNotFound).Because(errors.New("the directory answered with another address"))
	}
	return s.owned(at, u, err)
}

// owned is an answer under the tenant that was asked for; nothing of an answer
// that is an error gets out.
func (s *Service) owned(at store.Place, u User, err error) (User, error) {
	if err != nil {
		return User{}, err
	}
	u.Tenant = at.Tenant
	return u, nil
}

// alone reads a user and does something to them while no other call does. What
// it is handed was read while nobody else could change it. An alias is held
// only to find out whom it stands for.
func (s *Service) alone(ctx context.Context, at store.Place, id string, do func(User) error) error {
	again, err := s.held(ctx, at, id, do)
	if err == nil && again != "" {
		again, err = s.held(ctx, at, again, do)
		if err == nil && again != "" {
			return Fail(KindNotFound).Because(errors.New("the directory names one user differently each time"))
		}
	}
	return err
}

// held does it if id is the one that stands for the user, and answers that one
// otherwise.
func (s *Service) held(ctx context.Context, at store.Place, id string, do func(User) error) (another string, err error) {
	if !wire.ValidName(id) {
		return "", Fail(KindMalformedID)
	}
	leave, err := s.persons.enter(ctx, at.Tenant+"\x00"+id, s.o.Patience)
	if err != nil {
		return "", err
	}
	defer leave()
	u, err := s.get(ctx, at, id)
	if err != nil {
		return "", err
	}
	if u.ID != id {
		return u.ID, nil
	}
	return "", do(u)
}
