use super::*;

fn outcome(per_second: f64, pause: Option<f64>) -> Outcome {
    Outcome {
        operations: 1000,
        per_second,
        latency_us: [100.0, 200.0, 3000.0, 4000.0, 5000.0],
        longest_pause_ms: pause,
        syncs_per_update: None,
        retries: Some(0),
    }
}

/// Two rounds: updates of three systems, and fail-overs of two.
fn report() -> Report {
    let works = Work::all(Duration::from_secs(5), Duration::from_secs(1));
    let (updates, fails) = (works[3].clone(), works[5].clone());
    let mut measured = Vec::new();
    let mut add = |round, system, work: &Work, outcome| {
        measured.push(Measurement { round, system, work: work.clone(), outcome });
    };
    for (round, ours, keys, etcd) in [(0, 1000.0, 700.0, 100.0), (1, 3000.0, 2100.0, 50.0)] {
        add(round, System::Leasehold, &updates, outcome(ours, None));
        add(round, System::LeaseholdKeys, &updates, outcome(keys, None));
        add(round, System::Etcd, &updates, outcome(etcd, None));
        add(round, System::Leasehold, &fails, outcome(1.0, Some(800.0)));
        add(round, System::Etcd, &fails, outcome(1.0, Some(400.0)));
    }
    let systems = [System::Leasehold, System::LeaseholdKeys, System::Etcd];
    Report {
        systems: systems.map(|system| (system, "1.2.3".to_owned())).to_vec(),
        rounds: 2,
        seconds: 5.0,
        machine: "2 CPUs".into(),
        measured,
    }
}

#[test]
fn a_figure_is_the_median_of_its_rounds() {
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
    assert_eq!(Spread::of([4.0, 1.0]).unwrap().median, 2.5);
}

#[test]
fn a_ratio_is_the_median_of_each_rounds_ratio_and_not_a_ratio_of_medians() {
    let object = report().object();
    let results = object["results"].as_array().unwrap();
    let of = |system: &str, work: &str| {
        results.iter().find(|row| row["system"] == system && row["work"] == work).unwrap()
    };
    // 1000 / 100 and 3000 / 50: not 2000 / 75.
    assert_eq!(of("etcd", "updates")["leasehold_times_as_fast"], 35.0);
    assert_eq!(of("etcd", "fail-over")["leasehold_times_as_fast"], 0.5, "a longer pause is worse");
    assert_eq!(of("leasehold", "updates")["leasehold_times_as_fast"], Value::Null);
}

#[test]
fn the_json_says_what_was_measured_on_what_and_how() {
    let object = report().object();
    assert_eq!((&object["schema"], &object["command"]), (&json!(1), &json!("peers")));
    for part in ["machine", "servers", "rounds", "seconds", "value_bytes", "keys"] {
        assert!(!object[part].is_null(), "{part}");
    }
    for system in object["systems"].as_array().unwrap() {
        for part in ["name", "version", "storage", "settings"] {
            assert!(!system[part].as_str().unwrap().is_empty(), "{part}");
        }
        assert_eq!(system["durable"], true);
        assert_eq!(system["authenticated"], system["name"] == "leasehold-keys");
    }
    let row = &object["results"][0];
    assert_eq!(
        (&row["system"], &row["work"], &row["clients"]),
        (&json!("leasehold"), &json!("updates"), &json!(1024))
    );
    assert_eq!(row["ops_per_s"], json!({ "median": 2000.0, "min": 1000.0, "max": 3000.0 }));
    assert_eq!(row["p99_us"]["median"], 3000.0);
    assert_eq!(row["rounds"].as_array().unwrap().len(), 2);
    assert_eq!(row["rounds"][1]["latency_us"]["max"], 5000.0);
}

#[test]
fn the_csv_has_a_line_for_each_measurement_and_a_field_for_each_column() {
    let csv = report().csv();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines.len(), 11);
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    assert_eq!(lines[3], "1,etcd,updates,1024,1000,100.0,100.0,200.0,3000.0,4000.0,5000.0,,,0");
    assert_eq!(lines[5], "1,etcd,fail-over,16,1000,1.0,100.0,200.0,3000.0,4000.0,5000.0,400.0,,0");
}

#[test]
fn the_table_says_where_leasehold_is_slower() {
    let text = report().text();
    let row = text.lines().find(|line| line.contains("updates, 1024 clients")).unwrap();
    assert!(row.contains("2,000"), "{row}");
    let etcd = text.lines().find(|line| line.contains("35.00 times as fast")).unwrap();
    assert!(etcd.contains("etcd"), "{etcd}");
    assert!(text.ends_with("Leasehold is slower than etcd (fail-over, 16 clients)."), "{text}");
    // That keys cost something is no surprise, and is in the table.
    assert!(text.contains("1.43 times as fast"), "{text}");
}

#[test]
fn without_the_base_nothing_is_compared() {
    let mut report = report();
    report.measured.retain(|measurement| measurement.system == System::Etcd);
    report.systems.retain(|(system, _)| *system == System::Etcd);
    assert!(report.text().ends_with("Nothing was compared."));
}

#[test]
fn the_plots_name_their_axes_and_every_system_that_updates() {
    let mut report = report();
    let files = report.files();
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["peers.json", "peers.csv", "updates.svg", "latency.svg"]);
    for (name, svg) in &files[2..] {
        for part in ["clients, each with one update at a time", "leasehold, keys", "etcd", ">\n1,024\n<"] {
            assert!(svg.contains(part), "{name}: {part}");
        }
        assert!(!svg.contains("openraft"), "{name}: nothing of it was measured");
    }
    assert!(files[2].1.contains("updates a second") && files[3].1.contains("99th percentile, ms"));
    report.measured.retain(|measurement| measurement.work.kind == Kind::FailOver);
    assert_eq!(report.files().len(), 2, "without updates there is nothing to plot");
}
