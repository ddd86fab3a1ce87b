use super::*;

fn request(path: &[u8], range: &[u8]) -> Vec<u8> {
    let mut bytes = (path.len() as i32).to_le_bytes().to_vec();
    bytes.extend(path);
    if !range.is_empty() {
        bytes.extend((range.len() as i32).to_le_bytes());
        bytes.extend(range);
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn a_request_is_whole_only_at_its_last_byte() {
    for range in [&[][..], &[7, 0, 0, 0, 0, 0, 0, 1], &[1; 16]] {
        let bytes = request(b"some/path", range);
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "at {end}");
        }
        let whole = parse(&bytes).unwrap().unwrap();
        assert_eq!((whole.path, whole.size), (&b"some/path"[..], bytes.len()));
        let mut followed = bytes.clone();
        followed.extend(request(b"next", &[]));
        assert_eq!(parse(&followed), Ok(Some(whole)));
    }
    let ranged = request(b"p", &[7, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(parse(&ranged).unwrap().unwrap().offset, 7 + (1 << 56));
    let both = request(
        b"p",
        &[[2, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]].concat(),
    );
    let both = parse(&both).unwrap().unwrap();
    assert_eq!((both.offset, both.length), (2, Some(3)));
}

#[test]
fn a_malformed_request_is_named() {
    assert_eq!(parse(&[0, 0, 0, 0]), Err(Fault::Malformed), "no path");
    assert_eq!(parse(&request(b"a\0b", &[])), Err(Fault::Malformed));
    assert_eq!(parse(&request(b"a", &[1; 7])), Err(Fault::Malformed));
    assert_eq!(parse(&request(b"a", &[1; 17])), Err(Fault::Malformed));
    assert_eq!(parse(&(-1i32).to_le_bytes()), Err(Fault::Malformed));
    assert_eq!(parse(&i32::MIN.to_le_bytes()), Err(Fault::Malformed));
    assert_eq!(parse(&1001i32.to_le_bytes()), Err(Fault::TooLong));
    assert!(parse(&request(&[b'x'; 1000], &[])).unwrap().is_some());
    let mut no_end = request(b"a", &[1; 8]);
    let last = no_end.len() - 4;
    no_end[last] = 1;
    no_end.push(0);
    assert_eq!(
        parse(&no_end),
        Err(Fault::Malformed),
        "a third car with data"
    );
}

/// No more than `REQUEST_SIZE_MAX` bytes are looked at, so what waits for more would wait for ever.
#[test]
fn a_request_that_would_be_too_long_is_malformed_at_once() {
    let path = request(&[b'x'; 1000], &[]);
    for range_size in [8_i32, 16] {
        let bytes = [&path[..1004], &range_size.to_le_bytes()].concat();
        assert_eq!(parse(&bytes), Ok(None), "{range_size}");
    }
    for range_size in [17_i32, 120, 1000, 1001, -1] {
        let bytes = [&path[..1004], &range_size.to_le_bytes()].concat();
        assert_eq!(parse(&bytes), Err(Fault::Malformed), "{range_size}");
    }
    let end = [&request(&[b'x'; 1000], &[1; 16])[..1024], &[1, 0, 0, 0]].concat();
    assert_eq!(parse(&end), Err(Fault::Malformed));
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut bytes = request(b"abc", &[1; 16]);
        for _ in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let index = (random >> 32) as usize % bytes.len();
            bytes[index] = random as u8;
        }
        let _ = parse(&bytes);
    }
}

/// The whole answer, made byte by byte from the layout's sections.
fn wire(layout: &ResponseLayout, head: &[u8], file: &[u8]) -> Vec<u8> {
    let byte = |position| match layout.segment(position) {
        Segment::Head(at) => head[at],
        Segment::Cars(car, within) => {
            let length = (layout.car_data(car) as i32).to_le_bytes();
            let data = layout.offset as usize + car as usize * CAR_DATA_MAX;
            if within < 4 {
                length[within]
            } else {
                file[data + within - 4]
            }
        }
        Segment::Raw(within) => file[(layout.offset + within) as usize],
        Segment::End(_) => 0,
        Segment::Done => panic!("behind the end"),
    };
    let bytes = (0..layout.size()).map(byte).collect();
    assert_eq!(layout.segment(layout.size()), Segment::Done);
    bytes
}

#[test]
fn the_example_of_the_protocol_is_2536_bytes() {
    let file: Vec<u8> = (0..2500).map(|i| (i * 7) as u8).collect();
    let head = ResponseLayout::head(Framing::Sized, b"file", 2500, 0);
    let layout = ResponseLayout::new(Framing::Sized, head.len(), 0, 2500);
    let wire = wire(&layout, &head, &file);
    assert_eq!(wire.len(), 2536);
    assert_eq!(&wire[..20], b"\x04\0\0\0file\x08\0\0\0\xc4\x09\0\0\0\0\0\0");
    assert_eq!(&wire[20..24], &1000i32.to_le_bytes());
    assert_eq!(&wire[24..1024], &file[..1000]);
    assert_eq!(&wire[2028..2032], &500i32.to_le_bytes());
    assert_eq!(&wire[2032..], [&file[2000..], &[0; 4]].concat());
}

#[test]
fn every_size_at_an_edge_adds_up() {
    let file = vec![0xab; 3005];
    for framing in [
        Framing::Ask,
        Framing::Sized,
        Framing::Raw,
        Framing::RawEnd,
        Framing::Plain,
    ] {
        for size in [0, 1, 999, 1000, 1001, 1999, 2000, 2001, 3000] {
            let head = ResponseLayout::head(framing, b"n", size, -5);
            let layout = ResponseLayout::new(framing, head.len(), 5, size);
            assert_eq!(
                wire(&layout, &head, &file).len() as u64,
                layout.size(),
                "{framing:?} {size}"
            );
        }
    }
    let huge = ResponseLayout::new(Framing::Ask, 30, 0, 1 << 40);
    let car = 1_000_000_000;
    assert_eq!(huge.segment(30 + 1004 * car + 3), Segment::Cars(car, 3));
}

#[test]
fn a_fault_is_one_negative_car() {
    let layout = ResponseLayout::fault(Fault::TooSlow);
    assert_eq!(layout.size(), 4);
    assert_eq!(i32::from_le_bytes(Fault::TooSlow.car()), -110);
    assert_eq!(layout.segment(0), Segment::Head(0));
}

#[test]
fn the_protocol_page_lists_every_error() {
    let page = include_str!("../../board/man/train.7");
    let listed = |fault: &Fault| {
        let number = *fault as i32;
        format!(".It {number} Ta Er {:?} Ta ", nix::Error::from_raw(number))
    };
    let rows = page
        .lines()
        .filter(|line| line.starts_with(".It") && line.contains(" Ta Er "));
    assert_eq!(rows.count(), Fault::ALL.len());
    for fault in &Fault::ALL {
        assert!(page.contains(&listed(fault)), "{}", listed(fault));
    }
}
