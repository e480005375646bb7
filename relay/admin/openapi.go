package admin

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"
)

type object = map[string]any

// document serves the OpenAPI description of calls. It is made once.
func (s *Server) document() http.Handler {
	text, err := json.MarshalIndent(openAPI(s.deps.Version), "", "  ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err != nil { // cannot be: the document holds nothing but text and numbers
			problem(w, r, &Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // the client has gone if this fails
	})
}

func openAPI(version string) object {
	if version == "" {
		version = "devel"
	}
	schemas, paths := object{}, object{}
	for _, c := range calls() {
		item, _ := paths[c.path].(object)
		if item == nil {
			item = object{}
			paths[c.path] = item
		}
		item[strings.ToLower(c.method)] = c.describe(schemas)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "tenma", "version": version,
			"description": "The operator's API of a tenma mail relay. Errors are problem documents (RFC 9457).",
		},
		"paths":    paths,
		"security": []any{object{"bearer": []string{}}},
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}},
		},
	}
}

// describe gives a call's operation and adds the schemas that it uses.
func (c call) describe(schemas object) object {
	content := func(kind string, v any) object {
		return object{kind: object{"schema": schemaOf(reflect.TypeOf(v), schemas)}}
	}
	failure := func(why string) object {
		return object{"description": why, "content": content("application/problem+json", Problem{})}
	}
	responses := object{
		"200":     object{"description": "done", "content": content("application/json", c.answer)},
		"401":     failure("no token, or a wrong one"),
		"default": failure("it failed"),
	}
	var parameters []object
	for _, p := range c.query {
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.doc, "schema": object{"type": p.kind}})
	}
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(c.path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	op := object{"summary": c.summary, "operationId": operationID(c), "responses": responses}
	if len(parameters) > 0 {
		op["parameters"] = parameters
		responses["400"] = failure("a parameter is not as described")
	}
	if c.body != nil {
		op["requestBody"] = object{"required": true, "content": content("application/json", c.body)}
		responses["400"] = failure("the body is not as described")
	}
	if c.notFound {
		responses["404"] = failure("there is none such")
	}
	return op
}

func operationID(c call) string {
	words := regexp.MustCompile(`\w+`).FindAllString(strings.TrimPrefix(c.path, "/api/v1/"), -1)
	id := strings.ToLower(c.method)
	for _, w := range words {
		id += strings.ToUpper(w[:1]) + w[1:]
	}
	return id
}

// schemaOf describes a type of wire.go; structs go into schemas by name.
func schemaOf(t reflect.Type, schemas object) object {
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.String:
		return object{"type": "string"}
	}
	if _, done := schemas[t.Name()]; !done {
		properties, required := object{}, []string{}
		schemas[t.Name()] = object{"type": "object", "properties": properties, "required": required}
		for f := range t.Fields() {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := schemaOf(f.Type, schemas)
			if doc := f.Tag.Get("doc"); doc != "" {
				p["description"] = doc
			}
			properties[name] = p
			if option != "omitempty" {
				required = append(required, name)
			}
		}
		schemas[t.Name()].(object)["required"] = required
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}
}
