//! Nothing is left behind: no interface, mount, file or process.

use std::io::{BufRead, BufReader};

use crate::helper::{eventually, host_is_untouched, somebody_is_in};
use crate::rig::{as_nobody, command, start, unshared};

#[test]
fn no_file_interface_or_mount_stays() {
    // A /tmp where nobody else writes, and a network with lo only. The program may be in what that hides.
    let line = r#"
        mount -t tmpfs none /mnt
        touch /mnt/tcplab
        mount --bind "$TCPLAB" /mnt/tcplab
        TCPLAB=/mnt/tcplab
        cd /
        mount -t tmpfs none /tmp
        before=$(cat /proc/self/mounts; ip -o link; ls -A /tmp /dev/shm)
        "$TCPLAB" run -q -- sh -c 'echo hi | nc -N lab.test 7'
        "$TCPLAB" demo -q > /dev/null
        "$TCPLAB" run -q -- sleep 20 & sleep 0.2; kill -KILL $!; wait $! 2> /dev/null
        after=$(cat /proc/self/mounts; ip -o link; ls -A /tmp /dev/shm)
        [ "$before" = "$after" ] || echo "before: $before
after: $after"
    "#;
    let said = start(&mut unshared(&["--mount", "--net"], line)).finish();
    said.expect(0, "hi\n");
    host_is_untouched();
}

#[test]
fn a_killed_tcplab_takes_its_lab_along() {
    let line = "readlink /proc/self/ns/net /proc/self/ns/mnt; exec nc lab.test 7";
    let arguments = ["run", "-q", "--", "sh", "-c", line];
    for mut tcplab in [command(&arguments), as_nobody(&arguments)] {
        let mut child = tcplab.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let [net, mnt] = [(); 2].map(|()| lines.next().unwrap().unwrap());
        assert!(somebody_is_in(&net, &mnt));
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nobody is in the lab", || !somebody_is_in(&net, &mnt));
    }
    host_is_untouched();
}
