//! Hostile files: whatever they ask for, they get one sentence, in bounded time and memory.

mod weights_support;

use weights_support::{Pickle, legacy, numbers, one_tensor, parse_bounded, records, refusal, zip};

/// Asserts that both kinds of file with this pickle are refused with a sentence that holds `part`.
#[track_caller]
fn refused(pickle: Vec<u8>, part: &str) {
    for file in [legacy(&pickle, &[("0", 4, &numbers())]), zip(&records(&pickle, &[("0", &numbers())]))] {
        let sentence = refusal(&file);
        assert!(sentence.contains(part), "`{part}` is missing: {sentence}");
    }
}

/// As [`refused`], for a pickle whose instructions end with an empty dict.
#[track_caller]
fn refused_within(pickle: Pickle, part: &str) {
    refused(pickle.raw(b"}").end(), part);
}

#[test]
fn functions_that_are_no_part_of_a_state_dict_are_named_and_not_called() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("torch", "load"),
        ("torch.storage", "UntypedStorage"),
        ("torch", "ComplexFloatStorage"),
        ("torch._utils", "_rebuild_qtensor"),
        ("collections", "OrderedDict.fromkeys"),
        ("numpy.core.multiarray", "_reconstruct"),
    ] {
        let sentence = format!("asks for `{module}.{name}`, which is no part of a state dict; nothing was executed");
        refused(Pickle::new().global(module, name).text("touch /tmp/owned").raw(b"\x85R").end(), &sentence);
        let by_stack = Pickle::new().text(module).text(name).raw(b"\x93").text("touch /tmp/owned").raw(b"\x85R").end();
        refused(by_stack, &sentence);
    }
    refused(Pickle::new().int(1).int(2).raw(b"\x93").end(), "names a function by something that is no text");
}

#[test]
fn a_name_cannot_write_on_the_terminal() {
    let long = "x".repeat(1 << 20);
    for (name, shown) in [("a\u{1b}[2Jb", r"a\u{1b}[2Jb"), ("\u{202e}gpj", r"\u{202e}gpj"), (&long, "xxx…`")] {
        refused(Pickle::new().global("os", name).end(), shown);
    }
}

#[test]
fn instructions_that_pytorch_does_not_write_are_refused() {
    // INST, OBJ, NEWOBJ, NEWOBJ_EX, EXT1, EXT4, PERSID, NEXT_BUFFER, DUP, POP, and one that does not exist.
    for code in [b'i', b'o', 0x81, 0x92, 0x82, 0x84, b'P', 0x97, b'2', b'0', 0xFF] {
        refused(Pickle::new().raw(&[code]).end(), &format!("instruction 0x{code:02x}"));
    }
    refused(vec![0x80, 6, b'N', b'.'], "protocol 6");
    refused(vec![0x80, 1, b'N', b'.'], "protocol 1");
}

#[test]
fn claimed_lengths_are_held_against_the_bytes_there_are() {
    for claim in [
        &b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"X\xff\xff\xff\xff",
        b"B\xff\xff\xff\x7f",
        b"T\x00\x00\x00\x40",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8a\xff",
        b"U\xff",
    ] {
        refused(Pickle::new().raw(claim).raw(b"abc").end(), "damaged or cut off");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let many = 100_000;
    let nested = "more than 64 deep";
    refused(Pickle::new().raw(&b"(".repeat(many)).end(), nested);
    refused(Pickle::new().raw(b")").raw(&b"\x85".repeat(many)).end(), nested);
    refused(Pickle::new().raw(&b"]".repeat(many)).raw(&b"a".repeat(many - 1)).end(), nested);
    let dicts = b"}X\x01\0\0\0k".repeat(many);
    refused(Pickle::new().raw(&dicts).raw(b"N").raw(&b"s".repeat(many)).end(), nested);
    // A state dict beside it changes nothing.
    let beside = Pickle::new().raw(b"}").text("deep").raw(b")").raw(&b"\x85".repeat(65)).raw(b"s").text("x");
    refused(beside.tensor(("FloatStorage", "0", 4), 0, &[4], &[1]).raw(b"s").end(), nested);
}

#[test]
fn values_within_themselves_are_no_danger() {
    refused(Pickle::new().raw(b"]q\0h\0a").end(), "holds a list");
    refused(Pickle::new().raw(b"}q\0").text("state_dict").raw(b"h\0s").end(), "holds no tensors");
    refused(
        Pickle::new().raw(b"}q\0").text("model").raw(b"}q\x01").text("net").raw(b"h\0ss").end(),
        "holds no tensors",
    );
    refused(Pickle::new().raw(b"]q\0").raw(&b"h\0a".repeat(100)).end(), "more than 64 deep");
}

#[test]
fn bombs_do_not_go_off() {
    // Each tuple holds the last one twice: 2^60 values, if one counted them all.
    let doubling = Pickle::new().raw(b")q\0").raw(&b"h\0\x86q\0".repeat(60)).end();
    refused(doubling, "holds a tuple");
    let number = Pickle::new().raw(b"Nr\xff\xff\xff\xff").raw(b"j\xff\xff\xff\xff\x86").end();
    refused(number, "holds a tuple");
    let many = "has more than 2097152 values";
    refused(Pickle::new().raw(&b"]".repeat(3 << 20)).end(), many);
    refused(Pickle::new().raw(b"]q\0").raw(&b"h\0".repeat(3 << 20)).end(), many);
    refused(Pickle::new().raw(b"N").raw(&b"\x94".repeat(3 << 20)).end(), many);
    // A list of a million items, handed to OrderedDict a million times.
    let pair = b"K\x01K\x02\x86".repeat(1 << 16);
    let copies = [Pickle::new().global("collections", "OrderedDict").raw(b"q\0](").raw(&pair).0, b"eq\x01".to_vec()];
    refused(Pickle(copies.concat()).raw(&b"h\0h\x01\x85R".repeat(1 << 16)).end(), many);
}

#[test]
fn calls_that_make_no_sense_are_refused() {
    let no_fit = "arguments that do not fit";
    let dict = || Pickle::new().global("collections", "OrderedDict");
    refused_within(dict().int(1).int(2).int(3).raw(b"\x87R"), no_fit);
    refused_within(dict().int(1).raw(b"R"), "without a list of arguments");
    refused_within(dict().int(1).raw(b"\x85R"), "has no keys and values");
    refused_within(dict().raw(b"]").int(1).raw(b"a\x85R"), "has no keys and values");
    refused_within(dict().raw(b"](K\x01K\x02K\x03\x87e\x85R"), "has no keys and values");
    refused_within(Pickle::new().int(1).raw(b")R"), "calls an integer, which is no function");
    refused_within(Pickle::new().global("torch", "FloatStorage").raw(b")R"), no_fit);
    refused_within(Pickle::new().global("torch", "float32").raw(b")R"), no_fit);
    refused_within(Pickle::new().global("torch", "Size").int(1).raw(b"\x85R"), no_fit);
    refused_within(Pickle::new().global("torch._utils", "_rebuild_parameter").int(1).raw(b"\x85R"), no_fit);
    let tensor = || Pickle::new().global("torch._utils", "_rebuild_tensor_v2");
    refused_within(tensor().raw(b")R"), no_fit);
    refused_within(tensor().raw(b"(").int(1).int(0).raw(b"))tR"), "something that is no storage");
    let storage = || tensor().raw(b"(").storage("FloatStorage", "0", 4);
    refused_within(storage().text("0").raw(b"))tR"), "something that is no storage");
    refused_within(storage().int(0).int(4).ints(&[1]).raw(b"tR"), "something that is no storage");
    refused_within(
        storage().int(0).raw(b"(").text("4").raw(b"t").ints(&[1]).raw(b"tR"),
        "something that is no storage",
    );
    refused_within(storage().int(0).raw(b"(\x8a\x09").raw(&[1; 9]).raw(b"t").ints(&[1]).raw(b"tR"), "no storage");
}

#[test]
fn states_are_set_of_dicts_only() {
    let state = "sets the state of";
    refused_within(Pickle::new().int(1).raw(b"}b"), "sets the state of an integer");
    refused_within(Pickle::new().global("torch", "FloatStorage").raw(b"}b"), state);
    refused_within(Pickle::new().storage("FloatStorage", "0", 4).raw(b"}b"), "sets the state of a storage");
    refused_within(Pickle::new().raw(b"}").int(1).raw(b"b"), "sets the state of a dict");
}

#[test]
fn instructions_without_their_operands_are_refused() {
    let missing = "takes a value that is not there";
    for code in [&b"R"[..], b"a", b"s", b"Q", b"b", b"q\0", b"\x94", b"\x85", b"\x93", b"t", b"e", b"u", b".", b"N\x86"]
    {
        refused(Pickle::new().raw(code).end(), missing);
    }
    refused(Pickle::new().raw(b"}(e").end(), "appends to a dict");
    refused(Pickle::new().raw(b"](u").end(), "sets keys of a list");
    refused(Pickle::new().raw(b"}(Nu").end(), "a key without a value");
    refused(Pickle::new().raw(b"}(a").end(), missing);
    refused(Pickle::new().raw(b"h\x07").end(), "uses a value that it does not have");
    refused(Pickle::new().raw(b"NN").end(), "ends before it is finished");
    refused(Pickle::new().raw(b"(N").end(), "ends before it is finished");
    refused(Pickle::new().raw(b"X\x01\0\0\0\xff").end(), "no UTF-8");
    refused(Pickle::new().raw(b"cos\nsystem").end(), "ends within a line");
}

#[test]
fn what_is_no_state_dict_is_refused() {
    refused(Pickle::new().int(7).end(), "holds an integer, not a state dict");
    refused(Pickle::new().raw(b"]").end(), "holds a list, not a state dict");
    refused(Pickle::new().raw(b"}").end(), "holds no tensors");
    let tensor = |pickle: Pickle| pickle.tensor(("FloatStorage", "0", 4), 0, &[4], &[1]);
    refused(tensor(Pickle::new()).end(), "holds a tensor, not a state dict");
    refused(tensor(Pickle::new().raw(b"}").int(0)).raw(b"s").end(), "whose name is an integer");
    let twice = tensor(tensor(Pickle::new().raw(b"}(").text("x")).text("x")).raw(b"u").end();
    refused(twice, "two tensors called `x`");
    let inner = |pickle: Pickle, name: &str| tensor(pickle.text(name).raw(b"}").text("x")).raw(b"ss");
    refused(inner(inner(Pickle::new().raw(b"}"), "a"), "b").end(), "holds 2 dicts of tensors");
}

#[test]
fn storages_are_described_in_one_way() {
    let makes_no_sense = "in a way that makes no sense";
    let id = |count: i64| Pickle::new().storage("FloatStorage", "0", count);
    refused_within(id(-1), makes_no_sense);
    refused_within(id(i64::MAX), makes_no_sense);
    refused_within(Pickle::new().int(1).raw(b"Q"), makes_no_sense);
    refused_within(Pickle::new().raw(b")Q"), makes_no_sense);
    refused_within(
        Pickle::new().raw(b"(").text("other").global("torch", "FloatStorage").text("0NN").raw(b"tQ"),
        "sense",
    );
    let whole = Pickle::new().raw(b"(").text("module").global("torch", "FloatStorage").text("model.py").raw(b"NNtQ");
    refused_within(whole, "holds a whole model, not its weights");
    for (start, length) in [(0, 5), (4, 1), (-1, 1), (1, i64::MAX)] {
        let part = Pickle::new().raw(b"(").text("storage").global("torch", "FloatStorage").text("0").text("cpu").int(4);
        let part = part.raw(b"(").text("1").int(start).int(length).raw(b"ttQ");
        refused_within(part, makes_no_sense);
    }
}

#[test]
fn tensors_that_leave_their_storage_are_refused() {
    let max = i64::MAX;
    for (offset, shape, strides) in [
        (0, &[5][..], &[1][..]),
        (1, &[4], &[1]),
        (4, &[], &[]),
        (0, &[2, 2], &[3, 1]),
        (-1, &[2], &[1]),
        (0, &[-1], &[1]),
        (0, &[2], &[-1]),
        (3, &[4], &[-1]),
        (0, &[2], &[max]),
        (max, &[1], &[1]),
        (0, &[max], &[1]),
        (0, &[max, max], &[0, 0]),
        (0, &[1 << 62, 4, 0], &[0, 0, 0]),
        (0, &[3, 3], &[max / 2, max / 2]),
    ] {
        refused(one_tensor("FloatStorage", 4, offset, shape, strides), "has a tensor with");
    }
    refused(one_tensor("FloatStorage", 4, 0, &[1; 17], &[1; 17]), "17 extents");
    refused(one_tensor("FloatStorage", 4, 0, &[2, 2], &[1]), "2 extents and 1 strides");
    refused(one_tensor("FloatStorage", 4, 0, &[1; 99], &[1; 99]), "something that is no storage");
}

#[test]
fn tensors_cannot_outgrow_their_file() {
    let sentence = "more than 4 times the bytes of the file";
    refused(one_tensor("FloatStorage", 4, 0, &[1 << 40], &[0]), sentence);
    refused(one_tensor("FloatStorage", 4, 0, &[1 << 20, 1 << 20, 1 << 20], &[0, 0, 0]), sentence);
    // Many tensors, each within bounds, of one storage.
    let mut pickle = Pickle::new().raw(b"}(");
    for name in 0..40 {
        pickle = pickle.text(&name.to_string()).tensor(("FloatStorage", "0", 4), 0, &[1 << 18], &[0]);
    }
    refused(pickle.raw(b"u").end(), sentence);
}

#[test]
fn storages_have_the_bytes_that_they_are_said_to_have() {
    let pickle = one_tensor("FloatStorage", 4, 0, &[4], &[1]);
    let numbers = numbers();
    assert!(parse_bounded(&legacy(&pickle, &[("0", 4, &numbers)])).is_ok());
    for (storages, part) in [
        (&[("0", 4, &numbers[..15])][..], "a storage wants 16 bytes where 15 are left"),
        (&[("0", 3, &numbers)], "has 3 elements, its description says 4"),
        (&[("0", u64::MAX, &numbers)], "elements, its description says 4"),
        (&[], "lacks the storage `0`"),
        (&[("1", 4, &numbers)], "has a storage `1` too many"),
        (&[("0", 4, &numbers), ("0", 4, &numbers)], "has a storage `0` too many"),
    ] {
        let sentence = refusal(&legacy(&pickle, storages));
        assert!(sentence.contains(part), "{sentence}");
    }
    for (storages, part) in [
        (&[("0", &numbers[..15])][..], "has 15 bytes, its description says 4 elements"),
        (&[("0", &[0; 20])], "has 20 bytes"),
        (&[("1", &numbers)], "lacks the storage `0`"),
    ] {
        let sentence = refusal(&zip(&records(&pickle, storages)));
        assert!(sentence.contains(part), "{sentence}");
    }
    // The same storage as four numbers and as eight halves.
    let two = Pickle::new().raw(b"}(").text("x").tensor(("FloatStorage", "0", 4), 0, &[4], &[1]);
    let two = two.text("y").tensor(("HalfStorage", "0", 8), 0, &[8], &[1]).raw(b"u").end();
    let sentence = refusal(&legacy(&two, &[("0", 4, &numbers)]));
    assert!(sentence.contains("describes the storage `0` in two ways"), "{sentence}");
}

#[test]
fn the_parts_of_a_legacy_file_are_what_they_should_be() {
    let magic = Pickle::new().raw(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19").end();
    let version = |number| Pickle::new().int(number).end();
    let system = |flag: &[u8]| Pickle::new().raw(b"}").text("little_endian").raw(flag).raw(b"s").end();
    let (object, keys) = (one_tensor("FloatStorage", 0, 0, &[0], &[1]), Pickle::new().raw(b"]").end());
    for (parts, sentence) in [
        (vec![Pickle::new().raw(b"}").end()], "is a pickle, but not one of PyTorch"),
        (vec![version(1001)], "is a pickle, but not one of PyTorch"),
        (vec![magic.clone(), version(1002)], "another version"),
        (vec![magic.clone(), version(1001), system(b"\x89")], "big-endian"),
        (vec![magic.clone(), version(1001), system(b"N")], "does not say what machine wrote it"),
        (vec![magic.clone(), version(1001), version(1)], "does not say what machine wrote it"),
        (vec![magic.clone(), version(1001), system(b"\x88"), object.clone(), version(1)], "no list of its storages"),
        (
            vec![magic.clone(), version(1001), system(b"\x88"), object.clone(), Pickle::new().raw(b"]Na").end()],
            "a storage's name is no text",
        ),
        (vec![magic.clone(), version(1001), system(b"\x88"), object.clone(), keys], "lacks the storage `0`"),
    ] {
        let found = refusal(&parts.concat());
        assert!(found.contains(sentence), "{found}");
    }
}

#[test]
fn what_is_in_no_known_format_is_refused() {
    for (bytes, part) in [
        (&b""[..], "is empty"),
        (b"<!DOCTYPE html><html>", "neither a safetensors file nor one that PyTorch writes"),
        (b"\x89PNG\r\n\x1a\n", "neither"),
        (&[0; 100], "neither"),
        (b"\x80", "damaged or cut off"),
        (b"PK\x03\x04", "its end is missing"),
        (b"\x02\0\0\0\0\0\0\0{}", "holds no tensors"),
        (b"\x01\0\0\0\0\0\0\0{}", "is a damaged safetensors file"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "neither"),
    ] {
        let sentence = refusal(bytes);
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn safetensors_of_a_type_that_networks_do_not_have_are_refused() {
    let file = |header: &str, data: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    let header = r#"{"x":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#;
    let sentence = refusal(&file(header, &[0; 4]));
    assert!(sentence.contains("has `x` as F8_E4M3, a type that is not supported"), "{sentence}");
    let huge = r#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
    assert!(refusal(&file(huge, &[0; 4])).contains("is a damaged safetensors file"));
}
