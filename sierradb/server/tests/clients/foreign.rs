//! Clients that nobody wrote for SierraDB.
use crate::programs::{program, python};
use crate::server::Server;
use std::process::Command;

#[cfg(test)]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
fn redis_py_appends_and_reads_in_both_protocols() {
    let Some(mut python) = python() else { return };
    let server = Server::start();
    let script = r#"
import sys, redis
for protocol in (3, 2):
    client = redis.Redis(host='127.0.0.1', port=int(sys.argv[1]), protocol=protocol)
    assert client.ping() is True
    stream = f'user-{protocol}'
    result = client.execute_command('EAPPEND', stream, 'UserCreated', 'PAYLOAD', '{"name":"John"}')
    events = client.execute_command('ESCAN', stream, '-', '+', 'COUNT', '100')
    assert client.execute_command('ESVER', 'nosuch') is None
    if protocol == 3:
        assert result[b'stream_version'] == 0, result
        assert events[b'has_more'] is False, events
        event = events[b'events'][0]
        assert event[b'payload'] == b'{"name":"John"}' and event[b'event_name'] == b'UserCreated', event
    else:
        assert result[8:10] == [b'stream_version', 0], result
        assert events[0:2] == [b'has_more', 0] and len(events[3]) == 1, events
    try:
        client.execute_command('EAPPEND', stream, 'Again', 'EXPECTED_VERSION', 'empty')
        raise SystemExit('a wrong version was accepted')
    except redis.ResponseError as error:
        assert str(error).startswith('WRONGVER '), error
    pipeline = client.pipeline(transaction=False)
    for n in range(100):
        pipeline.execute_command('EAPPEND', f'{stream}-{n % 7}', 'Happened')
    assert len(pipeline.execute()) == 100
print('done')
"#;
    let text = succeeds(python.args(["-c", script, &server.port.to_string()]));
    assert!(text.contains("done"), "{text}");
}

#[test]
fn redis_benchmark_measures_ping() {
    let Some(mut benchmark) = program("redis-benchmark", &["--version"]) else { return };
    let server = Server::start();
    let port = server.port.to_string();
    let text = succeeds(benchmark.args(["-p", &port, "-t", "ping", "-n", "2000", "-q"]));
    assert!(text.contains("PING_INLINE") && text.contains("requests per second"), "{text}");
}

#[test]
fn redis_cli_reads_commands_from_a_pipe() {
    let Some(_) = program("redis-cli", &["--version"]) else { return };
    let server = Server::start();
    let appends = r"for i in 1 2 3 4 5; do echo EAPPEND piped Happened; done | redis-cli -p $0 >/dev/null; redis-cli -p $0 ESVER piped";
    let text = succeeds(Command::new("sh").args(["-c", appends, &server.port.to_string()]));
    assert_eq!(text.trim(), "4");
}
