/// A text that a field of this JSON name may hold, for examples.
pub(crate) fn example_text(json_name: &str) -> &'static str {
    match json_name {
        "method" => "GET",
        "url" => "https://api.example.com/v1/items",
        "username" | "login" => "user@example.com",
        "name" | "collectionName" | "displayName" | "apiCollectionName" => "Example",
        _ => "text",
    }
}
