//! The command line.

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  sierradb --dir ./data
      Serve the database in ./data on port 9090.
  sierradb --dir ./data --client-address 127.0.0.1:9091 --log debug
      The same on another port, for this machine only, saying more.
  sierradb --config ./sierra.toml
      Take the settings of a file; flags and SIERRA_… variables override it.
  sierradb verify ./data
      Check every byte of a database that is not being served.

Settings, strongest first: flags, environment (SIERRA_NETWORK__CLIENT_ADDRESS), [[nodes]] entry, file, defaults.
Exit codes: 0 stopped cleanly, 1 configuration, port or data, 2 command line, 101 a bug, 128+n second signal n.";

/// SierraDB, a server for event streams: durable, ordered, spoken to with any Redis client.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "sierradb", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Flags {
    /// Something else than serving
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the server
    #[command(flatten)]
    pub serve: ServeFlags,
}

/// Flags of the server.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeFlags {
    /// Data directory, created if absent [default: ~/.local/share/sierradb/db]
    #[arg(short, long, value_name = "PATH")]
    pub dir: Option<String>,
    /// Where clients connect [default: 0.0.0.0:9090]
    #[arg(long, value_name = "HOST:PORT")]
    pub client_address: Option<String>,
    /// Where other nodes connect [default: /ip4/0.0.0.0/tcp/0]
    #[arg(long, value_name = "MULTIADDR")]
    pub cluster_address: Option<String>,
    /// Configuration, .toml or .json [default: ./sierra.toml, else ~/.config/sierradb/sierra.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<String>,
    /// Log filter, as debug or sierradb=debug,warn [default: info]
    #[arg(short, long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Nodes of the cluster [default: as many as the file has nodes entries, else 1]
    #[arg(short, long, value_name = "N")]
    pub node_count: Option<u64>,
    /// Which of them this is, from 0; required with more than one
    #[arg(short = 'i', long, value_name = "I")]
    pub node_index: Option<u64>,
    /// Address of another node; may be repeated
    #[arg(long, value_name = "MULTIADDR")]
    pub seed: Vec<String>,
    /// Look for other nodes in the local network [default: only without seeds in a cluster]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub mdns: Option<bool>,
}

/// What the binary does besides serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Check a data directory that is not being served; changes nothing
    ///
    /// Exit codes: 0 sound, 1 a start repairs it without loss, 2 damaged, 3 it could not be checked.
    Verify(VerifyArgs),
    /// Print the frames and events of one segment file
    Dump(DumpArgs),
    /// Show what is damaged in a data directory that is not being served, and give it up if told so
    ///
    /// Reads the whole log of the bucket. What a start serves around is shown and never given up.
    ///
    /// Exit codes: 0 nothing to do or done, 1 shown only, 3 not possible.
    Repair(RepairArgs),
}

/// Arguments of `repair`.
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["bucket", "manifest"])))]
pub struct RepairArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Bucket whose log cannot be read to its end
    #[arg(short, long, value_name = "N")]
    pub bucket: Option<u16>,
    /// End the log before the damage; what lies behind it is copied to damaged/ first
    #[arg(long, requires = "bucket", conflicts_with = "manifest")]
    pub accept_tail_loss: bool,
    /// Find the manifest's settings in the segment files
    #[arg(long)]
    pub manifest: bool,
    /// Write the manifest found
    #[arg(long, requires = "manifest", conflicts_with = "bucket")]
    pub accept: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Data directory
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// One bucket only
    #[arg(short, long, value_name = "N")]
    pub bucket: Option<u16>,
    /// Read only what a start reads: headers, index footers, unsealed segments
    #[arg(short, long)]
    pub quick: bool,
    /// Print JSON
    #[arg(short, long)]
    pub json: bool,
}

/// Arguments of `dump`.
#[derive(Debug, Clone, Args)]
pub struct DumpArgs {
    /// Segment file, as ./data/buckets/00000/0000000001.seg
    #[arg(value_name = "SEGMENT")]
    pub segment: String,
}

impl ServeFlags {
    /// The flags given, as flag, key and value.
    pub fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let number = |value: Option<u64>| value.map(|n| n.to_string());
        let seeds = (!self.seed.is_empty()).then(|| self.seed.join(","));
        let all = [
            ("--dir", "dir", self.dir.clone()),
            ("--client-address", "network.client_address", self.client_address.clone()),
            ("--cluster-address", "network.cluster_address", self.cluster_address.clone()),
            ("--log", "log", self.log.clone()),
            ("--node-count", "node.count", number(self.node_count)),
            ("--node-index", "node.index", number(self.node_index)),
            ("--seed", "cluster.seeds", seeds),
            ("--mdns", "network.mdns", self.mdns.map(|on| on.to_string())),
        ];
        let given = all.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?)));
        given.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &str) -> Result<Flags, clap::Error> {
        Flags::try_parse_from(std::iter::once("sierradb").chain(words.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn every_flag_reaches_its_key() {
        let flags = parse(
            "-d ./x --client-address h:1 --cluster-address /ip4/1 -l debug -n 3 -i 2 --seed /a --seed /b --mdns",
        )
        .unwrap();
        let settings: Vec<String> =
            flags.serve.settings().iter().map(|(_, key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            settings,
            [
                "dir=./x",
                "network.client_address=h:1",
                "network.cluster_address=/ip4/1",
                "log=debug",
                "node.count=3",
                "node.index=2",
                "cluster.seeds=/a,/b",
                "network.mdns=true"
            ]
        );
        assert_eq!(parse("--mdns false").unwrap().serve.mdns, Some(false));
        assert!(parse("").unwrap().serve.settings().is_empty());
    }

    #[test]
    fn subcommands_stand_in_place_of_flags() {
        let flags = parse("verify ./data --bucket 3 --json").unwrap();
        let Some(Command::Verify(args)) = flags.command else { panic!("{flags:?}") };
        assert_eq!((args.dir.as_str(), args.bucket), ("./data", Some(3)));
        assert!(args.json && !args.quick);
        assert!(parse("--dir ./data verify ./data").is_err());
        assert!(parse("dump").is_err());
        assert!(parse("repair ./data --bucket 1 --accept-tail-loss").is_ok());
        assert!(parse("repair ./data").is_err(), "it must be said what is to be repaired");
        assert!(parse("repair ./data --manifest --accept-tail-loss").is_err());
    }

    #[test]
    fn an_unknown_flag_exits_with_2() {
        assert_eq!(parse("--port 1").unwrap_err().exit_code(), 2);
        assert_eq!(parse("--help").unwrap_err().exit_code(), 0);
    }
}
