//! Images of containers.

/// The image with the tag of the whole shop, where it names neither tag nor digest. A colon before the last slash belongs to the
/// port of a registry.
pub(super) fn tagged(image: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) if !is_pinned(image) => format!("{image}:{tag}"),
        _ => image.to_owned(),
    }
}

/// Whether it names a tag or a digest.
pub(super) fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_neither_tag_nor_digest_follows_the_shop() {
        let digest = "web@sha256:0000000000000000000000000000000000000000000000000000000000000000";
        for (image, with_tag) in [
            ("web", "web:7"),
            (
                "registry.example/octank/web",
                "registry.example/octank/web:7",
            ),
            ("localhost:5000/web", "localhost:5000/web:7"),
            ("web:1", "web:1"),
            ("localhost:5000/web:1", "localhost:5000/web:1"),
            (digest, digest),
        ] {
            assert_eq!(tagged(image, Some("7")), with_tag);
            assert_eq!(tagged(image, None), image);
        }
    }
}
