use proptest::prelude::*;

use super::*;

fn all() -> Vec<Extension> {
    vec![
        Extension::Tag("a".to_owned()),
        Extension::Tag("b".to_owned()),
        Extension::CorrelationId(Bytes::from_static(b"corr")),
        Extension::CausationId(Bytes::from_static(b"cause")),
        Extension::SubjectId(Bytes::from_static(b"subject")),
        Extension::RecordHash { algorithm: 1, hash: Bytes::from_static(b"hash") },
        Extension::IdempotencyKey(Bytes::from_static(b"key")),
        Extension::TransactionId(Uuid::from_u128(0x0102)),
        Extension::Encryption { algorithm: 2, key_version: 7, nonce: Bytes::from_static(b"nonce") },
    ]
}

fn built(list: &[Extension]) -> Bytes {
    list.iter().fold(Bytes::new(), |bytes, extension| insert(&bytes, extension).unwrap())
}

fn raw(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap();
    [&kind.to_le_bytes(), &len.to_le_bytes(), value].concat()
}

#[test]
fn extensions_have_these_bytes() {
    let hex: String = built(&all()).iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = "0100010061010001006202000400636f7272030005006361757365040007007375626a656374\
        0500050001686173681100030\
        06b6579120010000000000000000000000000000000010206400a0002070000006e6f6e6365";
    assert_eq!(hex, expected);
}

#[test]
fn the_order_of_insertion_does_not_matter() {
    let mut reversed = all();
    reversed.reverse();
    assert_eq!(built(&reversed), built(&all()));
    assert_eq!(decode(&built(&reversed)).unwrap(), all());
    check_writable(&built(&all()), 0).unwrap();
    check_readable(&built(&all())).unwrap();
}

#[test]
fn only_tags_may_repeat_and_only_with_another_text() {
    let bytes = built(&all());
    for extension in all() {
        let kind = extension.kind();
        assert_eq!(insert(&bytes, &extension), Err(ExtensionError::Repeated { kind }));
    }
    let other = Extension::SubjectId(Bytes::from_static(b"other"));
    assert_eq!(insert(&bytes, &other), Err(ExtensionError::Repeated { kind: SUBJECT_ID }));
}

#[test]
fn an_event_has_at_most_64_tags() {
    let tags: Vec<_> = (0..64).map(|n| Extension::Tag(format!("tag {n}"))).collect();
    let full = built(&tags);
    let more = insert(&full, &Extension::Tag("one more".to_owned()));
    assert_eq!(more, Err(ExtensionError::TooManyTags { limit: 64 }));
    let written = [full.as_ref(), &raw(TAG, b"zz")].concat();
    assert_eq!(decode(&written.into()), Err(ExtensionError::TooManyTags { limit: 64 }));
}

#[test]
fn values_out_of_range_are_refused() {
    let long = Bytes::from(vec![b'x'; 256]);
    for extension in [
        Extension::Tag(String::new()),
        Extension::CorrelationId(long.clone()),
        Extension::IdempotencyKey(Bytes::new()),
        Extension::RecordHash { algorithm: 1, hash: Bytes::new() },
        Extension::Encryption { algorithm: 1, key_version: 1, nonce: long },
    ] {
        let refused = insert(&Bytes::new(), &extension);
        assert!(matches!(refused, Err(ExtensionError::Length { .. })), "{extension:?}");
    }
    let short_id = raw(TRANSACTION_ID, b"short");
    assert!(matches!(transaction_id(&short_id), Err(ExtensionError::Length { len: 5, .. })));
    assert_eq!(decode(&raw(TAG, &[0xff]).into()), Err(ExtensionError::TagText));
}

#[test]
fn unknown_types_are_kept_but_not_written() {
    let bytes = Bytes::from(raw(0x77, b"later"));
    let unknown = Extension::Unknown { kind: 0x77, value: Bytes::from_static(b"later") };
    assert_eq!(decode(&bytes).unwrap(), std::slice::from_ref(&unknown));
    assert!(check_readable(&bytes).is_ok());
    let refused = ExtensionError::NotWritable { kind: 0x77 };
    assert_eq!(check_writable(&bytes, 0), Err(refused.clone()));
    assert_eq!(insert(&Bytes::new(), &unknown), Err(refused));
}

#[test]
fn an_unknown_type_that_must_be_known_makes_the_event_unreadable() {
    let bytes = Bytes::from(raw(0x4077, b"later"));
    let refused = ExtensionError::MustKnow { kind: 0x4077 };
    assert_eq!(decode(&bytes), Err(refused.clone()));
    assert_eq!(check_readable(&bytes), Err(refused));
}

#[test]
fn keys_and_transaction_ids_stand_in_the_first_event_only() {
    let key = built(&[Extension::IdempotencyKey(Bytes::from_static(b"k"))]);
    assert!(check_writable(&key, 0).is_ok());
    let refused = ExtensionError::FirstEventOnly { kind: IDEMPOTENCY_KEY };
    assert_eq!(check_writable(&key, 1), Err(refused));
}

#[test]
fn keys_and_transaction_ids_are_found() {
    let bytes = built(&all());
    assert_eq!(idempotency_key(&bytes), Ok(Some(b"key".as_slice())));
    assert_eq!(transaction_id(&bytes), Ok(Some(Uuid::from_u128(0x0102))));
    assert_eq!(idempotency_key(&raw(TAG, b"t")), Ok(None));
    assert_eq!(transaction_id(&[]), Ok(None));
}

#[test]
fn disorder_is_an_error() {
    let swapped = [raw(CAUSATION_ID, b"x"), raw(CORRELATION_ID, b"x")].concat();
    let order = ExtensionError::Order { previous: CAUSATION_ID, kind: CORRELATION_ID };
    assert_eq!(check_readable(&swapped), Err(order));
    let doubled = [raw(TAG, b"x"), raw(TAG, b"x")].concat();
    assert!(matches!(check_readable(&doubled), Err(ExtensionError::Order { .. })));
}

#[test]
fn the_area_of_an_event_is_bounded() {
    let filler = raw(0x77, &vec![0; 65_531]);
    assert_eq!(filler.len(), MAX_EXTENSIONS_LEN);
    let tag = Extension::Tag("t".to_owned());
    let refused = ExtensionError::TooLong { len: MAX_EXTENSIONS_LEN + 5 };
    assert_eq!(insert(&filler.into(), &tag), Err(refused));
    let longer = Bytes::from(vec![0; MAX_EXTENSIONS_LEN + 1]);
    assert!(matches!(check_writable(&longer, 0), Err(ExtensionError::TooLong { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let shared = Bytes::from(bytes);
        if let Ok(list) = decode(&shared) {
            let again: usize = list.iter().map(|e| HEADER_LEN + e.value().len()).sum();
            prop_assert_eq!(again, shared.len());
        }
        let _outcome = (check_readable(&shared), check_writable(&shared, 1), idempotency_key(&shared));
    }
}
