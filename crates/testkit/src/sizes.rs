/// How many changes a test of faults makes: `usual`, unless `PORTOLAN_TEST_CHANGES` says otherwise.
pub fn changes_of_test(usual: usize) -> usize {
    std::env::var("PORTOLAN_TEST_CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
