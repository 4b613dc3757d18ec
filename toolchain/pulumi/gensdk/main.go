// Command gensdk writes the Node.js SDK of a Pulumi package, from the package's schema on stdin, into a folder:
//
//	pulumi package get-schema terraform-provider@1.1.3 dmacvicar/libvirt 0.8.3 | gensdk ../../sdks/libvirt
//
// It calls the very generator that the official language host calls for `pulumi package add`, so the result is the
// same, byte for byte. It is needed where no official language host can be had, and only to move to another version
// of the provider: the result is committed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gensdk FOLDER <SCHEMA.json")
		os.Exit(2)
	}
	if err := generate(os.Stdin, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gensdk:", err)
		os.Exit(1)
	}
}

// noLoader loads no package, and panics if it is asked to: the packages made here refer to no other.
type noLoader struct{ schema.ReferenceLoader }

func generate(input io.Reader, folder string) error {
	var spec schema.PackageSpec
	if err := json.NewDecoder(input).Decode(&spec); err != nil {
		return fmt.Errorf("the schema does not parse: %w", err)
	}
	pkg, diagnostics, err := schema.BindSpec(spec, noLoader{}, schema.ValidationOptions{AllowDanglingReferences: true})
	if err != nil {
		return err
	}
	if diagnostics.HasErrors() {
		return diagnostics
	}
	files, err := nodejs.GeneratePackage("pulumi-language-nodejs", pkg, nil, nil, true, noLoader{})
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
