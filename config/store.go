package config

import (
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Store says where state is kept.
type Store struct {
	// The storage engine: `bolt` (one file, one machine, no server) or `redis` (Redis or Valkey, for several nodes).
	Engine string `yaml:"engine" default:"bolt" validate:"oneof=bolt redis"`
	// bolt: the database file; its folder is created. Relative to the working directory. While the server runs, and after a crash, two write-ahead files (.wal, .wal2) stand beside it and belong to it.
	Path string `yaml:"path" default:"data/drawbridge.db" validate:"required"`
	// The number of partitions that a new store is created with. It never changes afterwards. A store that may move from bolt to several nodes one day begins with 16.
	Partitions int `yaml:"partitions" otherwise:"1 for bolt, 16 for redis; an existing store's own number" validate:"min=0,max=1024"`
	// redis: host and port; several are nodes of a cluster, or the sentinels where `master_name` is set.
	Addresses []string `yaml:"addresses" validate:"dive,address"`
	// redis: the name that the sentinels know the master under.
	MasterName string `yaml:"master_name" validate:"max=200"`
	// redis: the one address is a cluster's.
	Cluster bool `yaml:"cluster" default:"false"`
	// redis: the ACL user, where the server asks for one.
	Username string `yaml:"username" validate:"max=200"`
	// redis: the password of the server.
	Password Secret `yaml:"password"`
	// redis: the ACL user at the sentinels.
	SentinelUsername string `yaml:"sentinel_username" validate:"max=200"`
	// redis: the password of the sentinels.
	SentinelPassword Secret `yaml:"sentinel_password"`
	// redis: speak TLS to servers and sentinels.
	TLS *StoreTLS `yaml:"tls"`
	// redis: the number of the database; a cluster has only 0.
	DB int `yaml:"db" default:"0" validate:"min=0,max=1000000"`
	// redis: what every key begins with, so that several stores may share a server.
	Prefix string `yaml:"prefix" default:"db" validate:"storeprefix"`
	// redis: how many replicas must have a change before it counts as safe.
	Replicas int `yaml:"replicas" default:"0" validate:"min=0,max=16"`
	// redis: how long to wait for them. A change that too few have in time is kept in `spool` and made safe later.
	ReplicaTimeout time.Duration `yaml:"replica_timeout" default:"300ms" validate:"min=1ms,max=30s"`
	// redis: this node's own file for changes that too few replicas have. Required with `replicas`.
	Spool string `yaml:"spool"`
	// redis: accept a server that keeps everything in memory only, or that evicts keys. What it forgets is lost.
	AllowVolatile bool `yaml:"allow_volatile" default:"false"`
	// redis: bounds connecting, and waiting for one answer.
	Timeout time.Duration `yaml:"timeout" default:"2s" validate:"min=10ms,max=1m"`
	// Keys that seal records at rest. The first seals, all open, so a key is replaced by putting the new one first.
	SealingKeys []SealingKey `yaml:"sealing_keys" validate:"dive"`
}

// StoreTLS is how the store's servers are reached over TLS (1.2 and up).
type StoreTLS struct {
	// PEM file with the authorities to trust; the machine's own where left out.
	CAFile string `yaml:"ca_file"`
	// PEM file with this client's certificate, where the server asks for one.
	CertFile string `yaml:"cert_file"`
	// PEM file with that certificate's private key.
	KeyFile string `yaml:"key_file"`
	// The name that the server's certificate must have, where it is not the address.
	ServerName string `yaml:"server_name" validate:"max=253"`
}

// SealingKey is a named 256-bit key.
type SealingKey struct {
	// The name that sealed records carry. Never reuse one for another key.
	ID string `yaml:"id" validate:"required,name"`
	// 32 random bytes, as base64 or as 64 hexadecimal digits.
	Key Secret `yaml:"key" validate:"required,sealkey"`
}

// Bytes returns the 32 bytes of the key.
func (k SealingKey) Bytes() []byte {
	key, _ := keyBytes(k.Key.Reveal())
	return key
}

// keyBytes decodes 32 bytes. 64 hexadecimal digits are also base64, of 48
// bytes, so the length tells the two apart.
func keyBytes(given string) ([]byte, bool) {
	if key, err := hex.DecodeString(given); err == nil && len(key) == 32 {
		return key, true
	}
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		if key, err := encoding.DecodeString(given); err == nil && len(key) == 32 {
			return key, true
		}
	}
	return nil, false
}
