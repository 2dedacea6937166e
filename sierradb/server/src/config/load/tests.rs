use super::*;

fn file(name: &str, text: &str) -> Sources {
    Sources {
        file: Some(ConfigFile { name: name.to_owned(), text: text.to_owned() }),
        ..Sources::default()
    }
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn text(loaded: &Loaded, key: &str) -> String {
    loaded.settings[key].value.to_string()
}

fn error(sources: &Sources) -> String {
    load(sources).unwrap_err().to_string()
}

#[test]
fn each_source_beats_the_next() {
    let mut sources = file(
        "./sierra.toml",
        "[bucket]\ncount = 2\n[partition]\ncount = 8\n[threads]\nread = 3\n[node]\nindex = 1\n\
         [network]\nmax_clients = 10\n[[nodes]]\n[[nodes]]\n[nodes.threads]\nread = 4\nwrite = 5\n\
         [nodes.network]\nmax_clients = 11",
    );
    sources.environment = vec![
        ("SIERRA_THREADS_WRITE".into(), "6".into()),
        ("SIERRA_NETWORK_MAX_CLIENTS".into(), "12".into()),
    ];
    sources.flags = vec![("--client-address", "network.max_clients", "13".to_owned())];
    let loaded = load(&sources).unwrap();
    assert_eq!(text(&loaded, "cache.capacity_bytes"), "268435456");
    assert_eq!(text(&loaded, "bucket.count"), "2");
    assert_eq!(text(&loaded, "threads.read"), "4");
    assert_eq!(loaded.settings["threads.read"].origin, Origin::Node(1));
    assert_eq!(text(&loaded, "threads.write"), "6");
    assert_eq!(text(&loaded, "network.max_clients"), "13");
    assert_eq!(loaded.node_entries, 2);
}

#[test]
fn all_three_spellings_of_the_environment_work_and_double_underscore_wins() {
    for name in [
        "SIERRA_NETWORK__CLIENT_ADDRESS",
        "SIERRA_NETWORK_CLIENT_ADDRESS",
        "SIERRA_NETWORK.CLIENT_ADDRESS",
    ] {
        let loaded = load(&environment(&[(name, "h:1")])).unwrap();
        assert_eq!(text(&loaded, "network.client_address"), "h:1", "{name}");
    }
    for order in [[0, 1], [1, 0]] {
        let both = [
            ("SIERRA_NETWORK__CLIENT_ADDRESS", "strong:1"),
            ("SIERRA_NETWORK_CLIENT_ADDRESS", "weak:1"),
        ];
        let loaded = load(&environment(&order.map(|at| both[at]))).unwrap();
        assert_eq!(text(&loaded, "network.client_address"), "strong:1");
    }
    let loaded =
        load(&environment(&[("SIERRA_DIR", "/d"), ("SIERRA_CLUSTER_SEEDS", "a, b")])).unwrap();
    assert_eq!(text(&loaded, "dir"), "/d");
    assert_eq!(loaded.settings["cluster.seeds"].value, Value::List(vec!["a".into(), "b".into()]));
}

#[test]
fn an_unknown_key_is_refused_with_its_nearest_neighbour() {
    assert_eq!(
        error(&file("./sierra.toml", "[network]\nclient_adress = 'x'")),
        "unknown key 'network.client_adress' in ./sierra.toml; did you mean 'network.client_address'?"
    );
    assert_eq!(
        error(&environment(&[("SIERRA_NETWORK_CLIENT_ADRESS", "x")])),
        "unknown key 'network.client_adress' in the environment (SIERRA_NETWORK_CLIENT_ADRESS); \
         did you mean 'network.client_address'?"
    );
}

#[test]
fn foreign_variables_of_an_unknown_section_are_only_warned_about() {
    let loaded =
        load(&environment(&[("SIERRA_PORT", "tcp://10.0.0.1:9090"), ("PATH", "/bin")])).unwrap();
    assert_eq!(loaded.warnings, ["environment variable SIERRA_PORT is no setting and is ignored"]);
}

#[test]
fn keys_of_old_files_are_accepted_with_a_warning() {
    let loaded =
        load(&file("old.toml", "[sync]\ninterval_ms = 5\n[bucket]\nids = [0, 1]")).unwrap();
    assert_eq!(
        loaded.warnings,
        ["config key 'bucket.ids' has no effect", "config key 'sync.interval_ms' has no effect"]
    );
    let loaded = load(&environment(&[("SIERRA_SYNC_IDLE_INTERVAL_MS", "50")])).unwrap();
    assert_eq!(loaded.warnings, ["config key 'sync.idle_interval_ms' has no effect"]);
}

#[test]
fn values_of_the_wrong_type_name_the_key_and_the_place() {
    assert_eq!(
        error(&file("a.json", r#"{"threads": {"read": "many"}}"#)),
        "invalid value for threads.read in a.json: expected a number"
    );
    assert_eq!(
        error(&environment(&[("SIERRA_THREADS_READ", "0")])),
        "invalid value for threads.read in SIERRA_THREADS_READ: expected a number between 1 and 1024"
    );
    assert_eq!(
        error(&file("a.toml", "[segment]\npreallocate = 'all'")),
        "invalid value for segment.preallocate in a.toml: expected zero or reserve"
    );
}

#[test]
fn a_broken_file_names_its_line() {
    let message = error(&file("a.toml", "[bucket]\ncount = = 3"));
    assert!(message.starts_with("a.toml line 2: "), "{message}");
    assert_eq!(error(&file("a.yaml", "")), "config file a.yaml must end in .toml or .json");
}
