// Renders the templates of language.json with Go's own text/template and writes what came out back into the file.
// To record again after adding a template: go run record.go language.json
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

type Case struct {
	Template string  `json:"template"`
	Output   *string `json:"output,omitempty"`
	Error    string  `json:"error,omitempty"`
}

type Recording struct {
	Data  map[string]any `json:"data"`
	Cases []Case         `json:"cases"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func render(text string, data map[string]any) Case {
	functions := template.FuncMap{"json": func(v any) string {
		encoded, _ := json.Marshal(v)
		return string(encoded)
	}}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return Case{Template: text, Error: err.Error()}
	}
	var buffer bytes.Buffer
	if err := parsed.Execute(&buffer, data); err != nil {
		return Case{Template: text, Error: err.Error()}
	}
	output := buffer.String()
	return Case{Template: text, Output: &output}
}

func main() {
	file := os.Args[1]
	text, err := os.ReadFile(file)
	check(err)
	var recording Recording
	check(json.Unmarshal(text, &recording))
	for i, c := range recording.Cases {
		recording.Cases[i] = render(c.Template, recording.Data)
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	check(encoder.Encode(recording))
	check(os.WriteFile(file, encoded.Bytes(), 0o644))
}
