use super::*;

fn codes(json: &str) -> Vec<(String, &'static str)> {
    match parse_card(json.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.into_iter().map(|m| (m.path, m.code)).collect(),
    }
}

#[test]
fn the_documented_card_is_right() {
    let card = r#"{"currency":"EUR","zone":"Europe/Berlin","fallback":"standard","rates":[
        {"key":"de-mobile","meter":"call","prefixes":["4915","4916","4917"],
         "call":{"initial":"60","next":"60","connect_fee":"0.05","steps":[{"from":"0","price":"0.40","per":"60"}]}},
        {"key":"api","meter":"api_call","price":{"model":"graduated","tiers":[
          {"up_to":"1000","unit_price":"0.15"},{"unit_price":"0.10"}]}}]}"#;
    assert_eq!(codes(card), []);
}
