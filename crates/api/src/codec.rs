//! How messages are read from the wire.
//!
//! A list element takes two bytes on the wire and hundreds in memory. So the elements of a request are counted before
//! anything of it is kept.

use std::{collections::HashMap, marker::PhantomData, sync::LazyLock};

use bytes::Buf;
use prost::{
    DecodeError, Message, Name,
    encoding::{self, DecodeContext, WireType},
};
use prost_reflect::{Kind, MessageDescriptor};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::{Error, Reason, Who, descriptors, policies};

/// Elements of all lists and maps of a request together: the longest list of the contract has half of them.
pub const ELEMENTS_MAX: usize = 20_000;
/// Fields of a request and of the messages in it; beyond this it repeats what stands once.
const FIELDS_MAX: usize = 1_000_000;
/// Messages in one another, as the decoder bounds them.
const DEPTH_MAX: usize = 100;
/// A request that is not larger is within the bounds, whatever it holds.
const FREE_BYTES: usize = 2 * ELEMENTS_MAX;

/// The codec of every RPC: protobuf, with bounded requests.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::default(), PhantomData)
    }
}

/// Decodes messages of this type.
#[derive(Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>, PhantomData<U>);

impl<U: Message + Name + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if message.remaining() > FREE_BYTES {
            // A message lies in one piece.
            check(&U::full_name(), message.chunk())?;
        }
        self.0.decode(message)
    }
}

/// Requests of clients, by name. Services of the installation send each other lists of any length.
static REQUESTS: LazyLock<HashMap<String, MessageDescriptor>> = LazyLock::new(|| {
    let methods = descriptors().services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let is_internal = |path: &str| policies().get(path).is_some_and(|policy| policy.who == Who::Internal);
    methods
        .filter(|method| !is_internal(&format!("/{}/{}", method.parent_service().full_name(), method.name())))
        .map(|method| (method.input().full_name().to_owned(), method.input()))
        .collect()
});

fn check(name: &str, message: &[u8]) -> Result<(), Error> {
    let Some(described) = REQUESTS.get(name) else { return Ok(()) };
    let mut count = Count::default();
    // What is malformed is refused by the decoder, which has kept no more than was counted until then.
    let _ = count.add(described, message, 0);
    if count.is_exceeded() {
        return Err(Error::new(Reason::TooManyElements).with("limit", ELEMENTS_MAX));
    }
    Ok(())
}

#[derive(Default)]
struct Count {
    elements: usize,
    fields: usize,
}

impl Count {
    fn is_exceeded(&self) -> bool {
        self.elements > ELEMENTS_MAX || self.fields > FIELDS_MAX
    }

    /// Counts until there are too many.
    fn add(&mut self, described: &MessageDescriptor, mut message: &[u8], depth: usize) -> Result<(), DecodeError> {
        while !message.is_empty() && !self.is_exceeded() && depth <= DEPTH_MAX {
            let (number, wire_type) = encoding::decode_key(&mut message)?;
            let field = described.get_field(number);
            self.fields += 1;
            let is_list = field.as_ref().is_some_and(|field| field.is_list() || field.is_map());
            let mut value = message;
            encoding::skip_field(wire_type, number, &mut message, DecodeContext::default())?;
            let Some(field) = field.filter(|_| wire_type == WireType::LengthDelimited) else {
                self.elements += usize::from(is_list);
                continue;
            };
            value = &value[..value.len() - message.len()];
            let _ = encoding::decode_varint(&mut value)?;
            match field.kind() {
                Kind::Message(inner) => {
                    self.elements += usize::from(is_list);
                    self.add(&inner, value, depth + 1)?;
                }
                Kind::String | Kind::Bytes => self.elements += usize::from(is_list),
                // A packed list: the last byte of each number has no high bit.
                _ => self.elements += value.iter().filter(|byte| **byte < 0x80).count(),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::v1::{CollectionList, UpdateMemberCollectionsRequest},
        inventory::v1::{MarkingItem, UpdateMarkingsRequest},
    };

    fn refusal<M: Message + Name>(message: &M) -> Option<Reason> {
        check(&M::full_name(), &message.encode_to_vec()).err().map(|error| error.reason())
    }

    fn markings(count: usize) -> UpdateMarkingsRequest {
        let item = MarkingItem { url: "/books".into(), method: "GET".into(), ..MarkingItem::default() };
        UpdateMarkingsRequest { items: vec![item; count], ..UpdateMarkingsRequest::default() }
    }

    #[test]
    fn elements_are_counted_wherever_they_are() {
        assert_eq!(refusal(&markings(ELEMENTS_MAX)), None);
        assert_eq!(refusal(&markings(ELEMENTS_MAX + 1)), Some(Reason::TooManyElements));
        let of_users = |users: i64, ids: usize| UpdateMemberCollectionsRequest {
            user_collection_map: (0..users).map(|user| (user, CollectionList { ids: vec![300; ids] })).collect(),
        };
        // Entries of a map, and packed numbers of two bytes in them.
        assert_eq!(refusal(&of_users(199, 99)), None);
        assert_eq!(refusal(&of_users(200, 100)), Some(Reason::TooManyElements));
    }

    #[test]
    fn nothing_hides_elements() {
        let many = markings(ELEMENTS_MAX + 1).encode_to_vec();
        // A group, an unknown field, a field of another type, and the same field again.
        for before in [&[0xfb, 1, 8, 1, 0xfc, 1][..], &[0xf8, 1, 1], &[0x12, 0, 0x10, 5], &[8, 1].repeat(1_000)] {
            let message = [before, &many].concat();
            let refused = check(&UpdateMarkingsRequest::full_name(), &message).unwrap_err();
            assert_eq!(refused.reason(), Reason::TooManyElements, "{before:?}");
        }
        let repeated = [8, 1].repeat(FIELDS_MAX + 1);
        assert!(check(&UpdateMarkingsRequest::full_name(), &repeated).is_err());
    }

    #[test]
    fn services_send_each_other_lists_of_any_length() {
        let internal = policies().values().filter(|policy| policy.who == Who::Internal);
        let inputs = internal.filter_map(|policy| {
            let (service, method) = policy.path[1..].split_once('/')?;
            descriptors().get_service_by_name(service)?.methods().find(|candidate| candidate.name() == method)
        });
        let names: Vec<_> = inputs.map(|method| method.input().full_name().to_owned()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| !REQUESTS.contains_key(name)), "{names:?}");
    }
}
