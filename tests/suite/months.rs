//! The zone that months are counted in is the database's: another one in the settings changes no
//! month that has begun.

use crate::process::Process;
use jiff::Timestamp;
use jiff::tz::TimeZone;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_zone_leaves_the_present_month_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (zone, counted_in, zones) in [
        ("Asia/Tokyo", "Asia/Tokyo", 1),
        ("America/New_York", "Asia/Tokyo", 2),
        ("America/New_York", "Asia/Tokyo", 2),
        ("Asia/Tokyo", "Asia/Tokyo", 1),
    ] {
        let process = Process::start_with(dir.path(), None, &[("CENTWISE_TIME_ZONE", zone)]).await;
        let clock = process.admin.get("/v1/clock").await.ok();
        let now: Timestamp = clock["time"].as_str().unwrap().parse().unwrap();
        let month = now
            .to_zoned(TimeZone::get("Asia/Tokyo").unwrap())
            .strftime("%Y-%m")
            .to_string();
        let path =
            format!("/v1/commissions/statement?reseller=muster-telecom&currency=EUR&month={month}");
        assert_eq!(
            process.admin.get(&path).await.ok()["time_zone"],
            counted_in,
            "{zone}"
        );
        let log = process.admin.get("/v1/audit-log?limit=200").await.ok();
        let set = log["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["resource"] == "setting")
            .unwrap();
        assert_eq!(set["after"].as_array().unwrap().len(), zones, "{set}");
        assert!(process.stop().await);
    }
}
