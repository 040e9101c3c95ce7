// Does franz-go's codec, generated from definitions of its own, read our bytes and write the same?
//
// Lines of "key version request|response hex" on standard input. What differs is printed; status 1 then.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type message interface {
	ReadFrom([]byte) error
	AppendTo([]byte) []byte
	SetVersion(int16)
	MaxVersion() int16
}

func judge(key, version int16, way string, body []byte) error {
	request := kmsg.RequestForKey(key)
	if request == nil {
		return fmt.Errorf("no such API")
	}
	var m message = request
	if way == "response" {
		m = request.ResponseKind()
	}
	if version > m.MaxVersion() {
		return fmt.Errorf("kmsg knows %d at most", m.MaxVersion())
	}
	m.SetVersion(version)
	if err := m.ReadFrom(body); err != nil {
		return err
	}
	if again := m.AppendTo(nil); !bytes.Equal(again, body) {
		return fmt.Errorf("written again it is %x", again)
	}
	return nil
}

func main() {
	wrong := 0
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		var key, version int16
		var way, text string
		if n, _ := fmt.Fscanln(in, &key, &version, &way, &text); n != 4 {
			break
		}
		body, err := hex.DecodeString(text)
		if text == "-" {
			body, err = nil, nil
		}
		if err == nil {
			err = judge(key, version, way, body)
		}
		if err != nil {
			wrong++
			fmt.Printf("%s v%d %s %.200s: %.400v\n", kmsg.NameForKey(key), version, way, text, err)
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
}
