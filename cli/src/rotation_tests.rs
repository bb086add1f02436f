//! Files that are rotated while they are followed: each line is charged once or named, whatever
//! became of its file.

use super::follow_tests::{Master, line, lines};
use super::loading_tests::check;
use clock::Clock;
use std::io::Write;
use std::path::PathBuf;

impl Master {
    fn with(&self, name: &str) -> PathBuf {
        self.file.with_file_name(name)
    }

    /// As logrotate does: each file a number up, and a new one begins with `titles`.
    fn rotate(&self, titles: &str) {
        for number in (1..9).rev() {
            let _ = std::fs::rename(
                self.with(&format!("Master.csv.{number}")),
                self.with(&format!("Master.csv.{}", number + 1)),
            );
        }
        self.rename("Master.csv.1");
        std::fs::write(&self.file, titles).unwrap();
    }

    /// A file of events with titles, followed by its columns' names.
    fn follow_titled(&self) -> String {
        self.serving.run(&[
            "ingest",
            &self.file.display().to_string(),
            "--format",
            "csv",
            "--follow",
            "--once",
        ])
    }
}

const TITLES: &str = "id,customer,meter,at,destination,quantity\n";

fn titled(id: u32) -> String {
    let day = &Clock::system().now().plus_secs(-24 * 3600).to_string()[..10];
    format!("t{id},acme-42,call,{day}T09:00:00Z,+4930123456,60\n")
}

#[test]
fn a_file_that_was_empty_at_the_last_look_is_not_lost_with_its_rotation() {
    let master = Master::new();
    std::fs::write(&master.file, "").unwrap();
    master.tell(&["0 rows", "exit 0"]);
    for day in 0..3 {
        master.append(&lines(day * 3..day * 3 + 3));
        master.rotate("");
        master.tell(&["3 rows: 3 posted", "exit 0"]);
    }
    // The same of files that begin alike.
    let master = Master::new();
    std::fs::write(&master.file, TITLES).unwrap();
    check(
        &master.follow_titled(),
        &["0 posted", "0 refused", "exit 0"],
    );
    for day in 0..3 {
        master.append(&titled(day));
        master.rotate(TITLES);
        check(
            &master.follow_titled(),
            &["1 posted", "0 duplicate", "0 refused", "exit 0"],
        );
    }
}

#[test]
fn a_file_that_was_empty_is_not_lost_when_it_is_copied_and_truncated() {
    let master = Master::new();
    std::fs::write(&master.file, "").unwrap();
    master.tell(&["0 rows", "exit 0"]);
    master.append(&lines(0..3));
    std::fs::copy(&master.file, master.with("Master.csv.1")).unwrap();
    std::fs::write(&master.file, "").unwrap();
    master.tell(&["3 rows: 3 posted", "exit 0"]);
    master.append(&lines(3..4));
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
}

#[test]
fn a_rotated_file_that_is_nowhere_is_said() {
    let master = Master::new();
    std::fs::write(&master.file, TITLES).unwrap();
    check(&master.follow_titled(), &["exit 0"]);
    master.append(&titled(1));
    master.rename("gone.csv.gz");
    std::fs::write(&master.file, format!("{TITLES}{}", titled(2))).unwrap();
    check(
        &master.follow_titled(),
        &[
            "1 posted",
            "the old file is not in the same directory",
            "exit 1",
        ],
    );
    check(&master.follow_titled(), &["0 rows", "exit 0"]);
}

#[test]
fn a_backup_copy_is_not_taken_for_the_rotated_file() {
    let master = Master::new();
    master.append(&lines(0..1));
    master.tell(&["1 posted"]);
    std::fs::copy(&master.file, master.with("Master.csv.bak")).unwrap();
    master.append(&lines(1..2));
    master.rotate("");
    master.append(&lines(2..3));
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
    // Nor where the rotated one is not there.
    std::fs::copy(&master.file, master.with("Master.csv.bak")).unwrap();
    master.append(&lines(3..4));
    master.rename("gone.gz");
    master.append(&lines(4..5));
    master.tell(&[
        "1 posted",
        "the old file is not in the same directory",
        "exit 1",
    ]);
}

#[test]
fn files_between_two_rotations_are_read_in_their_order() {
    let master = Master::new();
    master.append(&lines(0..1));
    master.tell(&["1 posted"]);
    for id in 1..4 {
        master.append(&line(id));
        master.rotate("");
    }
    master.append(&line(4));
    master.tell(&["4 rows: 4 posted, 0 duplicate", "exit 0"]);
    master.tell(&["0 rows", "exit 0"]);
}

#[test]
fn what_is_still_written_to_a_rotated_file_is_sent() {
    let master = Master::new();
    master.append(&lines(0..1));
    master.tell(&["1 posted"]);
    let mut writer = std::fs::OpenOptions::new()
        .append(true)
        .open(&master.file)
        .unwrap();
    master.rotate("");
    master.tell(&["0 rows", "exit 0"]);
    writer.write_all(line(1).as_bytes()).unwrap();
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
    writer.write_all(line(2).as_bytes()).unwrap();
    master.rotate("");
    master.append(&line(3));
    master.tell(&["2 rows: 2 posted, 0 duplicate", "exit 0"]);
}

#[test]
fn half_a_line_of_a_rotated_file_is_not_charged() {
    let master = Master::new();
    master.append(&lines(0..1));
    master.tell(&["1 posted"]);
    let half = line(1);
    master.append(&half[..half.len() - 2]);
    master.tell(&["0 rows", "not complete yet", "exit 0"]);
    master.rotate("");
    master.append(&line(2));
    master.tell(&[
        "1 posted",
        "1 refused",
        "incomplete_record",
        "Master.csv.1",
        "--whole",
        "exit 1",
    ]);
    // Said once; and read if it is ended all the same.
    master.tell(&["0 rows", "exit 0"]);
    std::fs::write(master.with("Master.csv.1"), format!("{}{half}", line(0))).unwrap();
    master.tell(&["1 row: 1 posted, 0 duplicate", "exit 0"]);
    // Copied and truncated: the other half begins the next file.
    let half = line(3);
    master.append(&half[..half.len() - 2]);
    std::fs::copy(&master.file, master.with("Master.csv.0")).unwrap();
    std::fs::write(&master.file, &half[half.len() - 2..]).unwrap();
    master.append(&line(4));
    master.tell(&[
        "1 posted",
        "2 refused",
        "incomplete_record",
        "invalid_row",
        "exit 1",
    ]);
}

#[test]
fn both_legs_of_a_call_are_one_call_whenever_they_are_written() {
    let master = Master::new();
    let local =
        |id: u32, own: &str, other: &str| line(id).replace("SIP/1", own).replace("SIP/2", other);
    let (first, second) = (
        local(1, "SIP/100-1", "Local/30@out-7;1"),
        local(2, "Local/30@out-7;2", "SIP/trunk-2"),
    );
    master.append(&first);
    master.tell(&["1 posted"]);
    master.append(&second);
    master.tell(&[
        "1 row: 0 posted",
        "1 skipped",
        "a second leg of the call",
        "exit 0",
    ]);
    // The other way round it is named, since nobody knows yet.
    let (first, second) = (
        first.replace("-7;", "-8;").replace("u.1", "u.11"),
        second.replace("-7;", "-8;").replace("u.2", "u.12"),
    );
    master.append(&second);
    master.tell(&[
        "1 row: 0 posted",
        "1 refused",
        "second_leg",
        "`Local/30@out-8;2`",
        "both_legs",
        "exit 1",
    ]);
    master.rotate("");
    master.append(&first);
    master.tell(&["1 row: 1 posted", "exit 0"]);
}

#[test]
fn both_legs_in_the_template_of_mod_cdr_csv_are_one_call_over_pieces_and_runs() {
    let master = Master::new();
    let day = &Clock::system().now().plus_secs(-24 * 3600).to_string()[..10];
    let leg = |uuid: &str, other: &str, second: u32| {
        format!(
            "\"X\",1002,+4930123456,default,{day} 09:00:0{second},{day} 09:00:03,{day} \
                09:01:03,61,60,NORMAL_CLEARING,{uuid},{other},acme-42,PCMU,PCMU\n"
        )
    };
    let path = master.file.display().to_string();
    let words = [
        "ingest",
        &path,
        "--format",
        "freeswitch",
        "--zone",
        "UTC",
        "--follow",
        "--once",
    ];
    let follow = || master.serving.run(&words);
    master.append(&leg("B", "A", 1));
    check(&follow(), &["1 posted"]);
    master.append(&leg("A", "B", 0));
    check(&follow(), &["0 posted", "1 skipped", "exit 0"]);
    // Without its position, and by itself.
    check(
        &master.serving.run(&words[..6]),
        &["0 posted, 1 duplicate", "1 skipped", "exit 0"],
    );
    master.append(&leg("D", "C", 1));
    check(&follow(), &["1 posted"]);
    master.rotate("");
    master.append(&leg("C", "D", 0));
    check(&follow(), &["0 posted", "1 skipped", "exit 0"]);
}

#[test]
fn files_from_before_are_named() {
    let master = Master::new();
    std::fs::write(master.with("Master.csv.1"), lines(0..2)).unwrap();
    master.append(&line(2));
    master.tell(&["Master.csv.1", "not sent", "1 row: 1 posted", "exit 0"]);
    assert!(!master.follow().contains("Master.csv.1"));
}

/// What logrotate leaves of a file: its compressed form, with the time of its last writing.
fn compress(master: &Master, name: &str, end: &str) {
    let path = master.with(name);
    let (text, modified) = (
        std::fs::read(&path).unwrap(),
        std::fs::metadata(&path).unwrap().modified().unwrap(),
    );
    let mut packed = b"\x1f\x8b\x08 not really, but for its last bytes".to_vec();
    packed.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    let to = master.with(&format!("{name}{end}"));
    std::fs::write(&to, packed).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&to)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn rows_that_came_before_a_rotated_file_was_compressed_are_said() {
    for end in [".gz", ".xz"] {
        let master = Master::new();
        master.append(&lines(0..1));
        master.tell(&["1 posted"]);
        let mut writer = std::fs::OpenOptions::new()
            .append(true)
            .open(&master.file)
            .unwrap();
        master.rotate("");
        master.tell(&["0 rows", "exit 0"]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        writer.write_all(line(1).as_bytes()).unwrap();
        compress(&master, "Master.csv.1", end);
        master.append(&line(2));
        let name = format!("Master.csv.1{end}");
        master.tell(&[
            "1 posted",
            &name,
            "was written to before it was compressed",
            "(line 1)",
            "exit 1",
        ]);
        master.tell(&["0 rows", "exit 0"]);
        // One to which nothing was added is complete.
        master.rotate("");
        master.append(&line(3));
        master.tell(&["1 posted", "exit 0"]);
        compress(&master, "Master.csv.1", end);
        master.tell(&["0 rows", "exit 0"]);
        // Removed for good: it had been read.
        std::fs::remove_file(master.with(&name)).unwrap();
        master.tell(&["0 rows", "exit 0"]);
    }
}
