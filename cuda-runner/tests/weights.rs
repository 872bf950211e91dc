//! Weights from elsewhere: PyTorch's files give the numbers that PyTorch wrote, and networks take them.

mod weights_support;

use candle_core::{DType, Device};
use half::{bf16, f16};
use weights_support::{
    Pickle, fixture, legacy, numbers, one_tensor, parse_bounded, parse_counted, path_of, records, zip,
};
use wseg_cuda_runner::weights::{Element, Format, RawTensor, StateDict, encode, parse, read};

fn expected() -> StateDict {
    parse(&fixture("expected.safetensors")).unwrap()
}

fn named(state: &StateDict) -> Vec<(&str, &RawTensor)> {
    state.iter().collect()
}

#[test]
fn every_file_of_pytorch_gives_the_expected_values_bit_for_bit() {
    let expected = expected();
    assert_eq!(expected.len(), 12);
    for (name, format) in [
        ("zip.pth", Format::Zip),
        ("zip_nested_module.pth", Format::Zip),
        ("legacy.pth", Format::Legacy),
        ("legacy_nested_module.pth", Format::Legacy),
    ] {
        let state = read(&path_of(name)).unwrap();
        assert_eq!(state.format(), format, "{name}");
        assert_eq!(named(&state), named(&expected), "{name}");
    }
}

#[test]
fn bfloat16_is_the_expected_values_rounded() {
    let (state, expected) = (read(&path_of("zip_bf16.pth")).unwrap(), expected());
    for (name, tensor) in state.iter() {
        let exact = expected.get(name).unwrap();
        assert_eq!(tensor.shape(), exact.shape(), "{name}");
        if !exact.element().is_float() {
            assert_eq!(tensor, exact, "{name}");
            continue;
        }
        assert_eq!(tensor.element(), Element::Bf16, "{name}");
        let bytes = exact.bytes();
        let rounded: Vec<u8> = match exact.element() {
            Element::F16 => bytes.as_chunks().0.iter().map(|&chunk| f16::from_le_bytes(chunk).to_f64()).collect(),
            Element::F32 => bytes.as_chunks().0.iter().map(|&chunk| f64::from(f32::from_le_bytes(chunk))).collect(),
            _ => bytes.as_chunks().0.iter().map(|&chunk| f64::from_le_bytes(chunk)).collect::<Vec<f64>>(),
        }
        .into_iter()
        .flat_map(|number| bf16::from_f64(number).to_le_bytes())
        .collect();
        assert_eq!(tensor.bytes(), rounded, "{name}");
    }
    let missing: Vec<&str> = expected.iter().map(|(name, _)| name).filter(|name| state.get(name).is_none()).collect();
    assert_eq!(missing, ["view.slice", "view.transposed"], "the only ones that the file does not have");
}

#[test]
fn what_is_written_is_what_was_read() {
    let state = read(&path_of("legacy.pth")).unwrap();
    let bytes = encode(&state).unwrap();
    assert!(bytes == encode(&state).unwrap(), "the same tensors, other bytes");
    let again = parse(&bytes).unwrap();
    assert_eq!(again.format(), Format::Safetensors);
    assert_eq!(named(&again), named(&state));
}

#[test]
fn content_decides_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, other) in [("zip.pth", "a.safetensors"), ("expected.safetensors", "b.pth"), ("legacy.pth", "c.zip")] {
        let path = folder.path().join(other);
        std::fs::copy(path_of(name), &path).unwrap();
        assert_eq!(named(&read(&path).unwrap()), named(&expected()), "{other}");
    }
}

#[test]
fn a_header_length_that_looks_like_a_pickle_is_a_length() {
    // 0x80 is the first byte of pickles, and of headers of 128 or 384 bytes.
    let header = format!("{:<128}", r#"{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#);
    let mut file = 128_u64.to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(numbers());
    assert_eq!(parse(&file).unwrap().get("x").unwrap().bytes(), numbers());
}

#[test]
fn newer_protocols_say_the_same() {
    // As Python's pickler writes protocol 4: frames, short texts, functions by two texts, an implicit memo.
    let pickle = |version: u8| {
        let short = |text: &str| [&[0x8C, text.len() as u8], text.as_bytes(), &[0x94]].concat();
        let global = |module: &str, name: &str| [short(module), short(name), vec![0x93, 0x94]].concat();
        let body = [
            b"}\x94".to_vec(),
            short("x"),
            global("torch._utils", "_rebuild_tensor_v2"),
            b"((".to_vec(),
            short("storage"),
            global("torch", "FloatStorage"),
            short("0"),
            short("cuda:0"),
            b"K\x04t\x94QK\x00K\x02K\x02\x86\x94K\x02K\x01\x86\x94\x89".to_vec(),
            global("collections", "OrderedDict"),
            b")R\x94t\x94R\x94s.".to_vec(),
        ]
        .concat();
        [&[0x80, version, 0x95], &(body.len() as u64).to_le_bytes()[..], &body].concat()
    };
    for version in 3..=5 {
        for file in
            [zip(&records(&pickle(version), &[("0", &numbers())])), legacy(&pickle(version), &[("0", 4, &numbers())])]
        {
            let state = parse_bounded(&file).unwrap();
            let tensor = state.get("x").unwrap();
            assert_eq!((tensor.shape(), tensor.bytes()), (&[2, 2][..], numbers().as_slice()), "protocol {version}");
        }
    }
}

#[test]
fn what_python_2_wrote_is_read() {
    // Texts are byte strings, integers may be long, the state dict is made from its items and has attributes.
    let bytes = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    let storage = Pickle::new()
        .raw(b"(")
        .raw(&bytes("storage"))
        .global("torch", "FloatStorage")
        .raw(&bytes("94"))
        .raw(&bytes("cpu"))
        .raw(b"\x8a\x01\x04NtQ");
    let tensor = Pickle(Vec::new())
        .global("torch._utils", "_rebuild_tensor")
        .raw(b"(")
        .raw(&storage.0[2..])
        .raw(b"\x8a\x00")
        .ints(&[4])
        .ints(&[1])
        .raw(b"tR");
    let object = Pickle::new()
        .global("collections", "OrderedDict")
        .raw(b"](](")
        .raw(&bytes("x"))
        .raw(&tensor.0)
        .raw(b"ee\x85R}")
        .raw(&bytes("_metadata"))
        .raw(b"}sb")
        .end();
    let state = parse_bounded(&legacy(&object, &[("94", 4, &numbers())])).unwrap();
    assert_eq!(state.get("x").unwrap().bytes(), numbers());
}

#[test]
fn a_part_of_a_legacy_storage_is_found() {
    // The last of the persistent id: the part's key, its start, its length.
    let part = Pickle::new()
        .raw(b"}")
        .text("x")
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"((")
        .text("storage")
        .global("torch", "FloatStorage")
        .text("0")
        .text("cpu")
        .int(4)
        .raw(b"(")
        .text("1")
        .int(1)
        .int(2)
        .raw(b"ttQ")
        .int(1)
        .ints(&[1])
        .ints(&[1])
        .raw(b"\x89}tRs")
        .end();
    let state = parse_bounded(&legacy(&part, &[("0", 4, &numbers())])).unwrap();
    assert_eq!(state.get("x").unwrap().bytes(), 3_f32.to_le_bytes());
}

#[test]
fn strides_pick_the_elements_they_say() {
    let bytes: Vec<u8> = (0..24).collect();
    let gathered = |offset, shape: &[i64], strides: &[i64]| {
        let pickle = one_tensor("ByteStorage", 24, offset, shape, strides);
        let state = parse_bounded(&zip(&records(&pickle, &[("0", &bytes)]))).unwrap();
        state.get("x").unwrap().bytes().to_vec()
    };
    assert_eq!(gathered(0, &[2, 3], &[3, 1]), [0, 1, 2, 3, 4, 5]);
    assert_eq!(gathered(1, &[3, 2], &[1, 3]), [1, 4, 2, 5, 3, 6], "transposed");
    assert_eq!(gathered(20, &[2, 2], &[2, 1]), [20, 21, 22, 23], "up to the end");
    assert_eq!(gathered(2, &[2, 1, 2], &[8, 1 << 60, 3]), [2, 5, 10, 13], "an axis of one index is never stepped");
    assert_eq!(gathered(7, &[3], &[0]), [7, 7, 7], "expanded");
    assert_eq!(gathered(23, &[], &[]), [23], "a single number");
    assert_eq!(gathered(99, &[0, 4], &[4, 1]), [0_u8; 0], "nothing");
}

/// A state dict of one number that tells where it came from.
fn holding(number: u8) -> Pickle {
    Pickle(Vec::new()).raw(b"}").text("w").tensor(("ByteStorage", "0", 9), number.into(), &[1], &[1]).raw(b"s")
}

#[test]
fn the_state_dict_within_a_checkpoint_is_found() {
    let bytes: Vec<u8> = (0..9).collect();
    let chosen = |checkpoint: Pickle| {
        let state = parse_bounded(&zip(&records(&checkpoint.end(), &[("0", &bytes)]))).unwrap();
        assert_eq!(state.len(), 1);
        state.get("w").unwrap().bytes()[0]
    };
    let (dict, epoch) = (|| Pickle::new().raw(b"}"), |pickle: Pickle| pickle.text("epoch").int(3).raw(b"s"));
    assert_eq!(chosen(epoch(Pickle::new().raw(&holding(1).0))), 1);
    assert_eq!(chosen(epoch(dict()).text("state_dict").raw(&holding(2).0).raw(b"s")), 2);
    let optimizer = || dict().text("optimizer").raw(&holding(8).0).raw(b"s");
    assert_eq!(chosen(optimizer().text("model").raw(&holding(3).0).raw(b"s")), 3, "a known name wins");
    let both = dict().text("model").raw(&holding(8).0).raw(b"s").text("state_dict").raw(&holding(4).0).raw(b"s");
    assert_eq!(chosen(both), 4, "the better name wins");
    let twice = dict().text("model").raw(b"}").text("state_dict").raw(&holding(5).0).raw(b"ss");
    assert_eq!(chosen(twice), 5);
    let hollow = dict().text("model").raw(b"}").text("name").text("resnet").raw(b"ss");
    assert_eq!(chosen(hollow.text("encoder").raw(&holding(6).0).raw(b"s")), 6, "the only dict of tensors");
}

#[test]
fn a_prefix_is_taken_off_only_where_all_names_have_it() {
    let names = |names: &[&str]| {
        let tensors =
            names.iter().map(|name| (name.to_string(), RawTensor::new(Element::U8, vec![1], vec![7]).unwrap()));
        let state = StateDict::new(Format::Zip, tensors.collect::<Vec<_>>()).unwrap();
        state.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["module.a", "module.b.module.c"]), ["a", "b.module.c"]);
    assert_eq!(names(&["module.module.a", "module.module.b"]), ["a", "b"]);
    assert_eq!(names(&["module.module.a", "module.b"]), ["b", "module.a"]);
    assert_eq!(names(&["module.a", "b"]), ["b", "module.a"]);
    assert_eq!(names(&["module."]), ["module."], "a name is never all prefix");
}

#[test]
fn numbers_are_converted_exactly_or_refused() {
    let state = |element: Element, bytes: Vec<u8>| {
        let count = bytes.len() / element.size();
        let tensor = RawTensor::new(element, vec![count], bytes).unwrap();
        StateDict::new(Format::Zip, [("x".to_owned(), tensor)]).unwrap()
    };
    let numbers = [1.0, -0.5, 65504.0, f64::INFINITY].map(f64::to_le_bytes).concat();
    let half = state(Element::F64, numbers.clone()).cast(Element::F16).unwrap();
    let expected = [1.0, -0.5, 65504.0, f32::INFINITY].map(|number| f16::from_f32(number).to_le_bytes()).concat();
    assert_eq!((half.get("x").unwrap().element(), half.get("x").unwrap().bytes()), (Element::F16, &expected[..]));
    let single = half.cast(Element::F32).unwrap();
    assert_eq!(single.get("x").unwrap().bytes(), [1.0, -0.5, 65504.0, f32::INFINITY].map(f32::to_le_bytes).concat());
    let large = state(Element::F64, 1e300_f64.to_le_bytes().to_vec());
    for element in [Element::F16, Element::F32] {
        let sentence = large.clone().cast(element).unwrap_err().to_string();
        assert!(sentence.contains("`x` holds 1e300") && sentence.contains(&format!("{element:?}")), "{sentence}");
    }
    let integers = state(Element::I64, i64::MAX.to_le_bytes().to_vec());
    assert_eq!(named(&integers.clone().cast(Element::F16).unwrap()), named(&integers), "not a floating-point number");
    // A NaN with a payload stays the NaN it is, as long as its type stays.
    let odd = state(Element::F32, [0x7F80_0001_u32, 0xFFFF_FFFF].map(u32::to_le_bytes).concat());
    assert_eq!(named(&odd.clone().cast(Element::F32).unwrap()), named(&odd));
}

#[test]
fn every_floating_point_type_becomes_the_same_numbers() {
    let (values, device) = ([0.5_f64, -3.0, 1.25, 0.0], Device::Cpu);
    for (element, bytes) in [
        (Element::F16, values.map(|value| f16::from_f64(value).to_le_bytes()).concat()),
        (Element::Bf16, values.map(|value| bf16::from_f64(value).to_le_bytes()).concat()),
        (Element::F32, values.map(|value| (value as f32).to_le_bytes()).concat()),
        (Element::F64, values.map(f64::to_le_bytes).concat()),
    ] {
        let raw = RawTensor::new(element, vec![2, 2], bytes).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let tensor = raw.to_tensor(dtype, &device).unwrap();
            assert_eq!((tensor.dtype(), tensor.dims()), (dtype, &[2, 2][..]));
            let read: Vec<f64> = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert_eq!(read, values, "{element:?}");
        }
    }
    assert!(RawTensor::new(Element::I64, vec![1], vec![0; 8]).unwrap().to_tensor(DType::F32, &device).is_err());
}

#[test]
fn the_memory_for_a_state_dict_is_little_more_than_its_tensors() {
    let tensor = vec![1; 1 << 20];
    let pickle = one_tensor("ByteStorage", 1 << 20, 0, &[1 << 10, 1 << 10], &[1, 1 << 10]);
    for file in [zip(&records(&pickle, &[("0", &tensor)])), legacy(&pickle, &[("0", 1 << 20, &tensor)])] {
        let (state, taken) = parse_counted(&file);
        assert_eq!(state.unwrap().byte_count(), tensor.len());
        assert!(taken < tensor.len() + (64 << 10), "{taken}");
    }
}
