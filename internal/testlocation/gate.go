package testlocation

import (
	"fmt"
	"reflect"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

// gate is the blob storage with a gate before publishing, so that a test can stop an attempt between its last check
// and its commit.
type gate struct {
	*blob.Storage
	controls Controls
}

func gateResource(controls Controls, storageURL string) *definitions.ResourceOf[*gate] {
	return definitions.Resource("gate", definitions.Bind0(func(ctx definitions.Context) (*gate, error) {
		storage, err := blob.Open(ctx, storageURL)
		if err != nil {
			return nil, fmt.Errorf("open the storage of a test location: %w", err)
		}
		return &gate{Storage: storage, controls: controls}, nil
	}), (*gate).Close)
}

// Accepts takes the one type there is.
func (g *gate) Accepts(t reflect.Type) error {
	if t != reflect.TypeFor[Value]() {
		return fmt.Errorf("%v is no Value", t)
	}
	return nil
}

// Stage is the storage's.
func (g *gate) Stage(ctx definitions.Context, at definitions.Slot, value any) (definitions.Staged, error) {
	staged, err := g.Storage.Stage(ctx, at, value)
	if err != nil {
		return nil, err
	}
	return &gated{Staged: staged, controls: g.controls, asset: at.Asset, partition: at.Partition}, nil
}

// Resume is the storage's.
func (g *gate) Resume(ctx definitions.Context, at definitions.Slot, location string) (definitions.Staged, error) {
	staged, err := g.Storage.Resume(ctx, at, location)
	if err != nil {
		return nil, err
	}
	return &gated{Staged: staged, controls: g.controls, asset: at.Asset, partition: at.Partition}, nil
}

type gated struct {
	definitions.Staged
	controls  Controls
	asset     string
	partition string
}

// Publish waits at the gate.
func (g *gated) Publish(ctx definitions.Context) error {
	note := Note{What: Publishing, Asset: g.asset, Partition: g.partition, Run: ctx.Run().ID, Attempt: ctx.Run().Attempt}
	if err := g.controls.write(note); err != nil {
		return err
	}
	if _, err := g.controls.wait(ctx, note, func(i Instruction) bool { return i.HoldPublish }); err != nil {
		return err
	}
	if err := g.Staged.Publish(ctx); err != nil {
		return err
	}
	note.What = Published
	return g.controls.write(note)
}
