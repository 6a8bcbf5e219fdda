package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// decoder fills our types from the tree. What it cannot fill it reports and
// leaves at its default.
type decoder struct {
	options Options
	report  *report
	marks   map[string]mark // of every value that the file gives, by path
	visits  int
}

// mark remembers a value of the file for messages about it.
type mark struct {
	place
	shown     string // as a message may show it: quoted, or where it came from
	short     bool   // it stands for the section it is in the place of
	reference string // ${env:NAME} or ${file:PATH}, where it came through one
}

// value fills into from n. rules is the tag of the field it stands in.
func (d *decoder) value(n *node, into reflect.Value, path string, rules reflect.StructTag) {
	if d.visits++; d.visits > maxVisits {
		if d.visits == maxVisits+1 {
			d.report.fail(n.place, "", "the aliases of this file stand for too many values")
		}
		return
	}
	switch {
	case n.kind == refused:
		d.report.broken[path] = true
		return
	case n.kind == nothing && canBeAbsent(into.Type()):
		return // an empty section says no more than one left out
	}
	d.marks[path] = mark{place: n.place, shown: string(n.kind)}
	switch into.Interface().(type) {
	case time.Duration, netip.Prefix, Secret, SpaceSeparated, Rate:
		d.scalar(n, into, path, rules)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		target := reflect.New(into.Type().Elem())
		setDefaults(target.Elem())
		into.Set(target)
		d.value(n, target.Elem(), path, rules)
	case reflect.Struct:
		d.structure(n, into, path)
	case reflect.Slice:
		d.list(n, into, path, rules)
	case reflect.Map:
		d.table(n, into, path)
	case reflect.Interface:
		if v := d.free(n, path, 1); v != nil {
			into.Set(reflect.ValueOf(v))
		}
	default:
		d.scalar(n, into, path, rules)
	}
}

// canBeAbsent reports whether "key:" with nothing behind it means the same as
// no key: it does for sections and lists, never for a single value.
func canBeAbsent(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Secret](), reflect.TypeFor[netip.Prefix](), reflect.TypeFor[SpaceSeparated](), reflect.TypeFor[Rate]():
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map:
		return true
	case reflect.Pointer:
		return t.Elem().Kind() == reflect.Struct
	}
	return false
}

func (d *decoder) structure(n *node, into reflect.Value, path string) {
	fields := fieldsOf(into.Type())
	if short, ok := fields[shorthand]; ok && n.kind != mapping && n.kind != list {
		d.value(n, into.FieldByIndex(short.Index), path, short.Tag)
		m := d.marks[path]
		m.short = true
		d.marks[path] = m
		return
	}
	if n.kind != mapping {
		d.wrong(n, path, "a mapping (key: value)")
		return
	}
	for _, e := range n.entries {
		at := childPath(path, e.key)
		field, known := fields[e.key]
		if !known || e.key == shorthand {
			d.unknown(e, into.Type(), path)
			continue
		}
		d.value(e.value, into.FieldByIndex(field.Index), at, field.Tag)
	}
}

// unknown reports a key that means nothing here, with the one that was meant.
func (d *decoder) unknown(e entry, section reflect.Type, path string) {
	at := childPath(path, e.key)
	near := nearest(e.key, keysOf(section))
	if near == "" {
		d.report.add(e.place, at, "unknown key")
		return
	}
	d.report.add(e.place, at, "unknown key; did you mean %s?", near)
	if _, given := d.marks[childPath(path, near)]; !given {
		d.report.broken[childPath(path, near)] = true // that it is missing is the same mistake
	}
}

func (d *decoder) list(n *node, into reflect.Value, path string, rules reflect.StructTag) {
	if n.kind != list {
		d.wrong(n, path, "a list ([one, two])")
		return
	}
	items := reflect.MakeSlice(into.Type(), len(n.items), len(n.items))
	into.Set(items)
	for i, item := range n.items {
		setDefaults(items.Index(i))
		at := itemPath(path, i)
		if item.kind == nothing {
			d.report.fail(item.place, at, "has no value")
			continue
		}
		d.value(item, items.Index(i), at, rules)
	}
	if rules != "" { // what a mapping lists is the operator's own
		d.twice(items, path)
	}
}

// twice reports single values that a list repeats.
func (d *decoder) twice(items reflect.Value, path string) {
	if kind := items.Type().Elem(); kind.Kind() != reflect.String && kind != reflect.TypeFor[netip.Prefix]() {
		return
	}
	seen := make(map[any]bool, items.Len())
	for i := range items.Len() {
		at, item := itemPath(path, i), items.Index(i).Interface()
		if seen[item] && !d.report.isBroken(at) {
			d.report.fail(d.marks[at].place, at, "is listed twice")
		}
		seen[item] = true
	}
}

func (d *decoder) table(n *node, into reflect.Value, path string) {
	if n.kind != mapping {
		d.wrong(n, path, "a mapping (key: value)")
		return
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(n.entries)))
	for _, e := range n.entries {
		at := childPath(path, e.key)
		switch {
		case e.key == "":
			d.report.fail(e.place, at, "an empty key")
			continue
		case e.value.kind == nothing && canBeAbsent(into.Type().Elem()):
			d.report.fail(e.place, at, "has no value")
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		setDefaults(value)
		d.value(e.value, value, at, "")
		into.SetMapIndex(reflect.ValueOf(e.key), value)
	}
}

// wrong reports a value of another kind than the key takes.
func (d *decoder) wrong(n *node, path, want string) {
	switch n.kind {
	case nothing:
		d.report.fail(n.place, path, "has no value")
	default:
		d.report.fail(n.place, path, "must be %s, not %s", want, n.kind)
	}
}

// shorthand is the name under which fieldsOf keeps the field that a bare value
// stands for.
const shorthand = "\x00"

// fieldsOf maps the keys of a section to its fields.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField, t.NumField())
	for field := range t.Fields() {
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		fields[name] = field
		if option == "scalar" {
			fields[shorthand] = field
		}
	}
	return fields
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

// setDefaults sets every field whose tag names a default. A default that does
// not parse is a mistake in this package, found by any test that loads a file.
func setDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		given, ok := field.Tag.Lookup("default")
		if !ok {
			setDefaults(v.Field(i))
			continue
		}
		if complaint := setDefault(v.Field(i), given); complaint != "" {
			panic(fmt.Sprintf("config: default of %s.%s %s", v.Type(), field.Name, complaint))
		}
	}
}

func setDefault(v reflect.Value, given string) string {
	if _, special := reflect.TypeAssert[SpaceSeparated](v); v.Kind() != reflect.Slice || special {
		return setScalar(v, given)
	}
	for word := range strings.FieldsSeq(given) {
		item := reflect.New(v.Type().Elem()).Elem()
		if complaint := setScalar(item, word); complaint != "" {
			return complaint
		}
		v.Set(reflect.Append(v, item))
	}
	return ""
}
