package config

import (
	"reflect"
)

// Options are what Load may reach outside the file. Both may be nil, and then
// what refers to them is a problem.
type Options struct {
	// Env looks up an environment variable, as os.LookupEnv does.
	Env func(name string) (value string, set bool)
	// ReadFile reads a file named by ${file:PATH}, as os.ReadFile does. A
	// relative path is the caller's to interpret.
	ReadFile func(path string) ([]byte, error)
}

// Load reads a configuration and reports everything that is wrong with it, path
// being its name in the reports. It returns either a whole Config, with every
// default filled in, or the zero Config and at least one problem. Neither the
// network nor any file is touched but through o.
func Load(path string, src []byte, o Options) (Config, Problems) {
	r := newReport(path)
	d := &decoder{options: o, report: r, marks: make(map[string]mark)}
	cfg, ok := d.decode(src)
	if ok {
		c := &checker{report: r, marks: d.marks, rules: rules()}
		c.check(&cfg)
	}
	if len(r.problems) > 0 {
		return Config{}, r.sorted()
	}
	resolve(&cfg, d.marks)
	cfg.origin = &origin{file: path, places: make(map[string]place, len(d.marks))}
	for at, m := range d.marks {
		cfg.origin.places[at] = m.place
	}
	return cfg, nil
}

// decode fills a Config from the text. It is not ok where there is no sense in
// looking further.
func (d *decoder) decode(src []byte) (Config, bool) {
	var cfg Config
	setDefaults(reflect.ValueOf(&cfg).Elem())
	if !readable(src, d.report) {
		return cfg, false
	}
	root := parse(src, d.report)
	switch {
	case d.report.isBroken(""):
		return cfg, false
	case root == nil:
		d.report.fail(place{}, "", "the file is empty")
		return cfg, false
	}
	d.value(root, reflect.ValueOf(&cfg).Elem(), "", "")
	d.override(&cfg)
	return cfg, !d.report.isBroken("")
}

// override lets the environment choose the address, which a container image
// must be able to do for a file it does not own.
func (d *decoder) override(cfg *Config) {
	const name = "DRAWBRIDGE_LISTEN"
	if d.options.Env == nil {
		return
	}
	if value, _ := d.options.Env(name); value != "" {
		cfg.Listen = value
		at := d.marks["listen"]
		at.shown = "the value of the environment variable " + name
		d.marks["listen"] = at
		delete(d.report.broken, "listen")
	}
}
