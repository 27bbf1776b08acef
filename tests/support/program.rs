//! The program as people run it: one run to its end, or a server as a process.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
};

/// A directory with nothing in it, so that no `.env` of the developer's is read.
pub struct Empty(pub PathBuf);

impl Empty {
    pub fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        // What is left behind lies in the build directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn program(directory: &Empty, args: &[&str], env: &[(&str, &str)]) -> Command {
    program_at(
        Path::new(env!("CARGO_BIN_EXE_rasta-stream")),
        directory,
        args,
        env,
    )
}

fn program_at(program: &Path, directory: &Empty, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(&directory.0).env_clear();
    command.envs(super::limits::UNLIMITED);
    command.envs(env.iter().copied());
    command
}

pub fn run(name: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    program(&Empty::new(name), args, env).output().unwrap()
}

pub fn refusal(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "{error}");
    assert_eq!(error.lines().count(), 1, "one line: {error}");
    error
}

/// A running server. It is killed by its handle if the test does not end it.
pub struct Serving {
    child: Child,
    pub addr: SocketAddr,
    /// Read all the time: a full pipe would stop the server.
    output: Option<[JoinHandle<String>; 2]>,
    _directory: Empty,
}

impl Serving {
    pub fn start(name: &str, env: &[(&str, &str)]) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_rasta-stream"));
        Self::start_program(program, Empty::new(name), env)
    }

    /// Started by another program, which changes something of the process, such as its limits.
    pub fn start_through(starter: &[&str], name: &str, env: &[(&str, &str)]) -> Self {
        let directory = Empty::new(name);
        let mut args = starter[1..].to_vec();
        args.push(env!("CARGO_BIN_EXE_rasta-stream"));
        let command = program_at(Path::new(starter[0]), &directory, &args, env);
        Self::start_command(command, directory)
    }

    pub fn start_program(program: &Path, directory: Empty, env: &[(&str, &str)]) -> Self {
        let command = program_at(program, &directory, &[], env);
        Self::start_command(command, directory)
    }

    fn start_command(mut command: Command, directory: Empty) -> Self {
        command.env("PORT", "0");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let port = line
            .split("://localhost:")
            .nth(1)
            .unwrap_or_else(|| panic!("{line}"));
        let port = port.split('/').next().unwrap().parse().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self {
            child,
            addr: ([127, 0, 0, 1], port).into(),
            output: Some([read(log), read(stdout)]),
            _directory: directory,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end; gives the exit code and what was logged after the first line, with
    /// anything on standard output behind it.
    pub fn finish(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let output = self.output.take().unwrap();
        (code, output.map(|reader| reader.join().unwrap()).concat())
    }
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
