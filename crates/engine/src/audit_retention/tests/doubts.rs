//! What stops the audit's retention when the audit itself is in doubt, and what it remembers of what it has told.

use super::*;

/// Whoever has the data key can put a whole file in the place of another; whoever has not can cut one short. Once it is removed it
/// would read as removed, and nobody would ever know.
#[tokio::test]
async fn what_is_not_as_it_was_signed_is_not_removed_and_someone_must_look() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    let mut other = Lived::on(&[-4_000, -3_900, -1]).await;
    other.close(NOW);
    lived.close(NOW);
    let (path, placed) = (lived.segments().remove(0), std::fs::read(other.segments().remove(0)).unwrap());
    let whole = std::fs::read(&path).unwrap();
    assert_ne!(whole, placed);
    for bytes in [&placed[..], &whole[..whole.len() - 10]] {
        std::fs::write(&path, bytes).unwrap();
        lived.open(NOW);
        let outcome = lived.engine().retain_audit(NOW);
        assert!(matches!(outcome, Err(PurgeError::Held(Held::Differs { .. }))), "{outcome:?}");
        let kept = lived.engine().audit_kept();
        assert!(matches!(kept.held, Some(Held::Differs { .. })) && kept.removed.is_none() && path.exists());
        lived.close(NOW);
    }
    std::fs::write(&path, &whole).unwrap();
    lived.open(NOW);
    assert!(lived.engine().retain_audit(NOW).unwrap().is_some() && !path.exists());
    assert_eq!(lived.engine().audit_kept().held, None);
}
