// Answers requests with the Go parser; see the README of the kit.
package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"conformance/vhdx" // compiled beside this file
	"github.com/kaitai-io/kaitai_struct_go_runtime/kaitai"
)

//go:embed vhdx/vhdx.go
var parser string

// The constants of enums: Go knows no name of theirs at run time.
var constant = regexp.MustCompile(`(?m)^\tVhdx_\w+__(\w+) Vhdx_(\w+) = (\d+)$`)

// Labels of enums, by "TYPE NUMBER".
var labels = map[string]string{}

var step = regexp.MustCompile(`\w+`)
var capital = regexp.MustCompile(`\B[A-Z]`)

// The path leads nowhere, by no fault of the image.
var errNothing = errors.New("no such name or element")

// image is a file that is parsed when a value of it is asked for.
type image struct {
	data []byte
	root *vhdx.Vhdx
}

func (i *image) follow(path string) (reflect.Value, error) {
	if i.root == nil {
		root := vhdx.NewVhdx()
		if err := root.Read(kaitai.NewStream(bytes.NewReader(i.data)), nil, root); err != nil {
			return reflect.Value{}, err
		}
		i.root = root
	}
	value := reflect.ValueOf(i.root)
	for _, name := range step.FindAllString(path, -1) {
		var err error
		if value, err = get(value, name); err != nil {
			return value, err
		}
		if value.Kind() == reflect.Interface && !value.IsNil() {
			value = value.Elem()
		}
	}
	return value, nil
}

// get returns an element, a field, or what the method of an instance returns.
func get(value reflect.Value, name string) (reflect.Value, error) {
	if index, err := strconv.Atoi(name); err == nil {
		if value.Kind() != reflect.Slice || index >= value.Len() {
			return value, errNothing
		}
		return value.Index(index), nil
	}
	if value.Kind() != reflect.Pointer || value.IsNil() {
		return value, errNothing
	}
	name = pascalCase(name)
	if method := value.MethodByName(name); method.IsValid() {
		results := method.Call(nil)
		err, _ := results[1].Interface().(error)
		return results[0], err
	}
	if field := value.Elem().FieldByName(name); field.IsValid() {
		return field, nil
	}
	return value, errNothing
}

func pascalCase(name string) string {
	var words strings.Builder
	for _, word := range strings.Split(name, "_") {
		words.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return words.String()
}

func snakeCase(name string) string {
	return strings.ToLower(capital.ReplaceAllString(name, "_$0"))
}

func answer(kind string, value reflect.Value) (string, string) {
	switch value.Kind() {
	case reflect.Bool:
		return "bool", strconv.FormatBool(value.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "int", strconv.FormatInt(value.Int(), 10)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int", strconv.FormatUint(value.Uint(), 10)
	case reflect.Int: // numbers have a width, only enums do not
		name := snakeCase(strings.TrimPrefix(value.Type().Name(), "Vhdx_"))
		number := strconv.FormatInt(value.Int(), 10)
		if label, ok := labels[name+" "+number]; ok {
			return name, label
		}
		return name, number
	case reflect.String:
		text, _ := json.Marshal(value.String())
		return "str", string(text)
	case reflect.Slice:
		if kind == "absent" && value.IsNil() { // an empty array may be nil, too
			return "absent", ""
		}
		if data, ok := value.Interface().([]byte); ok {
			return "bytes", hex.EncodeToString(data)
		}
		return "size", strconv.Itoa(value.Len())
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return "absent", ""
		}
		return "object", value.Type().String()
	}
	return "nothing", value.Kind().String()
}

func main() {
	for _, match := range constant.FindAllStringSubmatch(parser, -1) {
		labels[snakeCase(match[2])+" "+match[3]] = snakeCase(match[1])
	}
	requests, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	answers := bufio.NewWriter(os.Stdout)
	defer answers.Flush()
	var now image
	for _, line := range strings.Split(strings.TrimSpace(string(requests)), "\n") {
		kind, path, _ := strings.Cut(line, "\t")
		if kind == "open" {
			if now.data, err = os.ReadFile(path); err != nil {
				panic(err)
			}
			now.root = nil
			fmt.Fprint(answers, "opened\t\n")
			answers.Flush()
			continue
		}
		isFresh := kind == "error" || kind == "broken_text"
		if isFresh {
			now.root = nil
		}
		got, text := "error", ""
		value, err := now.follow(path)
		if errors.Is(err, errNothing) {
			got, text = "nothing", err.Error()
		} else if err != nil { // Go has no exceptions: whatever a parser returns is about the file
			text = strings.ReplaceAll(err.Error(), "\n", " ")
		} else {
			got, text = answer(kind, value)
		}
		if isFresh || err != nil {
			now.root = nil
		}
		fmt.Fprintf(answers, "%s\t%s\n", got, text)
	}
}
