package main

import (
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/holocompute/holocompute/internal/node"
)

// nodeFlags are the flags of commands that make a node.
type nodeFlags struct {
	name      string
	listen    []string
	allow     []string
	advertise []string
	memory    bytesFlag
}

func (f *nodeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "the node's name (default: the machine's)")
	cmd.Flags().StringSliceVar(&f.listen, "listen", nil, "host:port for other nodes; give it again for further addresses (default: loopback; with join: where the cluster reaches it)")
	cmd.Flags().StringSliceVar(&f.allow, "allow", nil, "networks of other nodes, such as 192.0.2.0/24: everybody else gets no answer (default: any)")
	cmd.Flags().StringSliceVar(&f.advertise, "advertise", nil, "host:port that others reach this node at (default: where it listens)")
	cmd.Flags().Var(&f.memory, "memory", "page memory to offer, such as 256MiB (default 1GiB)")
}

// at splits the addresses to listen on into the first and the others.
func (f *nodeFlags) at() (first string, also []string) {
	if len(f.listen) == 0 {
		return "", nil
	}
	return f.listen[0], f.listen[1:]
}

// belonging is what init and join print.
type belonging struct {
	Cluster string `json:"cluster"`
	Owner   string `json:"owner"`
	Node    string `json:"node"`
	Dir     string `json:"dir"`
}

func (a *app) emitBelonging(c *node.Cluster) error {
	b := belonging{Cluster: c.ID.String(), Owner: c.Owner.Hex(), Node: c.Node.Hex(), Dir: a.dir}
	return a.emit("Membership", b, func(w *tabwriter.Writer) {
		row(w, "CLUSTER", "OWNER", "NODE", "FOLDER")
		row(w, b.Cluster, short(b.Owner), short(b.Node), b.Dir)
	})
}

func initCommand(a *app) *cobra.Command {
	var f nodeFlags
	var cluster string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a cluster, with this machine as its first node",
		Long: "Make a cluster, with this machine as its first node.\n\n" +
			"The owner's key and yours are made in the configuration folder where they are missing. Keep the owner's key safe:\n" +
			"it admits and evicts nodes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, also := f.at()
			c, err := node.Init(cmd.Context(), node.InitConfig{
				Dir: a.dir, ConfigDir: a.config, ClusterName: cluster, NodeName: f.name,
				Listen: listen, Also: also, Allow: f.allow, Advertise: f.advertise, MemoryBytes: uint64(f.memory), Keys: a.keys(),
			})
			if err != nil {
				return err
			}
			a.note("next: holo agent")
			return a.emitBelonging(c)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&cluster, "cluster", "", "the cluster's name (default: holo)")
	return cmd
}
