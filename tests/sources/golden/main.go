// Writes golden.json anew: each pod of pods.json beside its protobuf, as the kubelet's Pods API sends it.
//
//	go run . < pods.json > golden.json
package main

import (
	"encoding/json"
	"log"
	"os"

	v1 "k8s.io/api/core/v1"
)

type golden struct {
	Pod      json.RawMessage `json:"pod"`
	Protobuf []byte          `json:"protobuf"`
}

func main() {
	var pods []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&pods); err != nil {
		log.Fatal(err)
	}
	var written []golden
	for _, raw := range pods {
		var pod v1.Pod
		if err := json.Unmarshal(raw, &pod); err != nil {
			log.Fatal(err)
		}
		bytes, err := pod.Marshal()
		if err != nil {
			log.Fatal(err)
		}
		written = append(written, golden{raw, bytes})
	}
	if err := json.NewEncoder(os.Stdout).Encode(written); err != nil {
		log.Fatal(err)
	}
}
