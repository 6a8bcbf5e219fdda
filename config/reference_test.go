package config_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

// REFERENCE.md is made from the types, their tags and their comments, and this
// test fails when it is not what they say. Run with -update to write it.
func TestReferenceIsUpToDate(t *testing.T) {
	const name = "REFERENCE.md"
	var out strings.Builder
	out.WriteString(preface)
	r := reference{t: t, docs: fieldComments(t), out: &out}
	r.section(reflect.TypeFor[config.Config](), "")
	if *updating {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if string(read(t, name)) != out.String() {
		t.Errorf("%s does not say what the types say: go test ./config -run Reference -update", name)
	}
}

const preface = `# Configuration reference

Every key of the file that ` + "`drawbridge serve --config FILE`" + ` reads. Made from the package's types; change it there.
A whole file with comments is in [examples/gateway.yaml](examples/gateway.yaml). ` + "`drawbridge check --config FILE`" + ` reports everything that is wrong with a file.

- Durations have units: ` + "`1500ms`, `30s`, `10m`, `8h`, `30d`" + `, also combined (` + "`1d12h`" + `).
- ` + "`${env:NAME}` and `${file:PATH}`" + ` stand for the whole value of any key, and belong wherever the type is *secret*. One line break at the end of a file is dropped; an empty value is a problem. Relative paths start at the working directory.
- Rates are a number and a time, ` + "`300/1m`" + ` for 300 times in a minute, or ` + "`off`" + `.
- Address ranges are written ` + "`10.0.0.0/8` or `fd00::/8`" + `; a bare address is a range of one.
- In paths below, ` + "`[]`" + ` stands for each element of a list and ` + "`*`" + ` for a name you choose. *required* means: wherever the section it is in is given.
- YAML anchors, aliases and ` + "`<<`" + ` may be used to share parts.

| key | type | default | meaning |
|---|---|---|---|
`

type reference struct {
	t    *testing.T
	docs map[string]string // by Type.Field
	out  *strings.Builder
}

func (r reference) section(section reflect.Type, path string) {
	for field := range section.Fields() {
		if !field.IsExported() {
			continue
		}
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		doc := r.docs[section.Name()+"."+field.Name]
		if key == "" || !strings.HasSuffix(doc, ".") {
			r.t.Errorf("%s.%s needs a key and a comment of whole sentences: %q, %q", section.Name(), field.Name, key, doc)
		}
		at := path + key
		kind, below, suffix := describe(field)
		fmt.Fprintf(r.out, "| `%s` | %s | %s | %s |\n", at, kind, fallback(field), strings.ReplaceAll(doc, "|", `\|`))
		if below != nil {
			r.section(below, at+suffix+".")
		}
	}
}

// describe names the type of a key, and the section below it.
func describe(field reflect.StructField) (kind string, below reflect.Type, suffix string) {
	var allowed []string
	for rule := range strings.SplitSeq(field.Tag.Get("validate"), ",") {
		if names, ok := strings.CutPrefix(rule, "oneof="); ok {
			allowed = strings.Fields(names)
		}
	}
	t := field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(allowed) > 0 {
		kind = "`" + strings.Join(allowed, "`, `") + "`"
		if t.Kind() == reflect.Slice {
			kind = "list of " + kind
		}
		return kind, nil, ""
	}
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && scalarName(t.Elem()) == "":
		return "list", t.Elem(), "[]"
	case t == reflect.TypeFor[map[string]config.Header]():
		return "names with values", t.Elem(), ".*"
	case t.Kind() == reflect.Struct && scalarName(t) == "":
		return "section", t, ""
	}
	return scalarName(t) + limits(field), nil, ""
}

// limits tells the range of a number or duration.
func limits(field reflect.StructField) string {
	var least, most string
	for rule := range strings.SplitSeq(field.Tag.Get("validate"), ",") {
		if limit, ok := strings.CutPrefix(rule, "min="); ok {
			least = limit
		} else if limit, ok := strings.CutPrefix(rule, "max="); ok {
			most = limit
		}
	}
	if length, err := time.ParseDuration(most); err == nil && length%(24*time.Hour) == 0 {
		most = fmt.Sprint(int(length/(24*time.Hour)), "d")
	}
	switch {
	case most == "" || field.Type.Kind() == reflect.Slice || field.Type.Kind() == reflect.String:
		return ""
	case least == "":
		return ", up to " + most
	}
	return ", " + least + " to " + most
}

func scalarName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[netip.Prefix]():
		return "address range"
	case reflect.TypeFor[config.Secret]():
		return "secret"
	case reflect.TypeFor[config.Rate]():
		return "rate"
	case reflect.TypeFor[config.SpaceSeparated]():
		return "text"
	case reflect.TypeFor[map[string][]string]():
		return "names with lists of text"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list of " + strings.Replace(scalarName(t.Elem())+"s", "texts", "text", 1)
	case reflect.Map:
		return "object"
	case reflect.Interface:
		return "anything"
	}
	return ""
}

func fallback(field reflect.StructField) string {
	given, ok := field.Tag.Lookup("default")
	switch {
	case !ok && strings.HasPrefix(field.Tag.Get("validate"), "required"):
		return "*required*"
	case ok && field.Type.Kind() == reflect.Slice:
		return "`[" + strings.Join(strings.Fields(given), ", ") + "]`"
	case ok:
		return "`" + given + "`"
	}
	return strings.ReplaceAll(field.Tag.Get("otherwise"), "<", "&lt;")
}

// fieldComments reads the comments above the fields of this package's types.
func fieldComments(t *testing.T) map[string]string {
	docs := make(map[string]string)
	files := token.NewFileSet()
	for _, name := range glob(t, "*.go", 10) {
		if strings.HasSuffix(filepath.Base(name), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, isType := n.(*ast.TypeSpec)
			if !isType {
				return true
			}
			if fields, isStruct := spec.Type.(*ast.StructType); isStruct {
				for _, field := range fields.Fields.List {
					for _, fieldName := range field.Names {
						docs[spec.Name.Name+"."+fieldName.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return docs
}

// A key that no file sets is a key that no test reads.
func TestEverythingSetsEveryKey(t *testing.T) {
	set := make(map[string]bool)
	for _, name := range []string{"everything", "redis", "redis_cluster"} { // no store has all keys at once
		visit(reflect.ValueOf(load(t, "testdata/good/"+name+".yaml")), set)
	}
	for name, nonzero := range set {
		if !nonzero {
			t.Errorf("%s is nowhere set to anything but its zero value", name)
		}
	}
}

// visit notes, for every field of every section, whether one instance sets it.
func visit(v reflect.Value, set map[string]bool) {
	if scalarName(v.Type()) != "" && v.Kind() != reflect.Slice {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		visit(v.Elem(), set)
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			name := v.Type().Name() + "." + v.Type().Field(i).Name
			set[name] = set[name] || !v.Field(i).IsZero()
			if !v.Field(i).IsZero() {
				visit(v.Field(i), set)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), set)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			visit(v.MapIndex(key), set)
		}
	}
}
