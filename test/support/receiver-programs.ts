/** How the snippets of docs/guide/receiving.md are run. */
export type Program = {
  readonly file: string
  readonly needs: string
  readonly replacements: Readonly<Record<string, string>>
  readonly main: string
  /** Other files, for languages that want their imports or their program in a file of their own. */
  readonly beside?: Readonly<Record<string, string>>
  readonly build?: readonly string[]
  readonly command: readonly string[]
  /** What the program is called with: a JSON of all, or the secret, the three headers and the file with the body. */
  readonly takes?: 'parts'
}

/**
 * By the language of its blocks in the document: where the function is put; the program around the document's own call
 * of it, which stands for CALL, with what stands for its secret and, where it is not there, its request; and how that is run.
 */
export const programs = {
  js: {
    file: 'receiver.mjs',
    needs: 'Node.js',
    replacements: { "'whsec_…'": 'secret' },
    main: `
const { secret, headers, file } = JSON.parse(process.argv[2])
const { readFileSync } = await import('node:fs')
const [request, body] = [{ headers }, readFileSync(file)]
console.log(CALL)`,
    command: [process.execPath, 'receiver.mjs'],
  },
  python: {
    file: 'receiver.py',
    needs: 'Python',
    replacements: { '"whsec_…"': 'secret' },
    main: `
import json, sys
case = json.loads(sys.argv[1])
class request: headers = case["headers"]
secret, body = case["secret"], open(case["file"], "rb").read()
print(str(CALL).lower())`,
    command: ['python3', 'receiver.py'],
  },
  php: {
    file: 'receiver.php',
    needs: 'PHP',
    replacements: { "'whsec_…'": "$case['secret']", "'php://input'": "$case['file']" },
    main: `
$case = json_decode($argv[1], true);
function getallheaders(): array
{
    $headers = $GLOBALS['case']['headers'];
    return array_combine(array_map(fn ($name) => ucwords($name, '-'), array_keys($headers)), $headers);
}
echo json_encode(CALL);`,
    command: ['php', 'receiver.php'],
  },
  go: {
    file: 'receiver.go',
    needs: 'Go',
    replacements: { '"whsec_…"': 'one.Secret' },
    beside: {
      'main.go': `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type headers map[string]string

func (h headers) Get(name string) string { return h[name] }

func main() {
	var one struct {
		Secret, File string
		Headers map[string]string
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &one); err != nil {
		panic(err)
	}
	body, err := os.ReadFile(one.File)
	if err != nil {
		panic(err)
	}
	request := struct{ Header headers }{one.Headers}
	fmt.Println(CALL)
}
`,
    },
    main: '',
    build: ['go', 'build', '-o', 'receiver', 'receiver.go', 'main.go'],
    command: ['./receiver'],
  },
  ruby: {
    file: 'receiver.rb',
    needs: 'Ruby',
    replacements: { "'whsec_…'": "one['secret']" },
    main: `
require 'json'
one = JSON.parse(ARGV[0])
request = Struct.new(:headers, :raw_post).new(one['headers'], File.binread(one['file']))
puts CALL`,
    command: ['ruby', '-w', 'receiver.rb'],
  },
  java: {
    file: 'Walhook.java',
    needs: 'a JDK',
    replacements: { '"whsec_…"': 'args[0]' },
    beside: {
      'Main.java': `
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

class Main {
    record Request(Map<String, String> headers) {
        String getHeader(String name) {
            return headers.getOrDefault(name, "").isEmpty() ? null : headers.get(name);
        }
    }

    public static void main(String[] args) throws Exception {
        var request = new Request(
            Map.of("webhook-id", args[1], "webhook-timestamp", args[2], "webhook-signature", args[3]));
        byte[] body = Files.readAllBytes(Path.of(args[4]));
        System.out.println(CALL);
    }
}
`,
    },
    main: '',
    build: ['javac', '-Xlint:all', '-Werror', 'Walhook.java', 'Main.java'],
    command: ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', 'Main'],
    takes: 'parts',
  },
  rust: {
    file: 'walhook.rs',
    needs: 'Rust',
    replacements: { '"whsec_…"': '&args[1]' },
    beside: {
      'Cargo.toml': `[package]
name = "receiver"
version = "0.0.0"
edition = "2024"
[[bin]]
name = "receiver"
path = "main.rs"
[dependencies]
`,
      'main.rs': `
mod walhook;
use walhook::is_from_walhook;

struct Value(String);
impl Value {
    fn to_str(&self) -> Result<&str, ()> {
        Ok(&self.0)
    }
}
struct Request(std::collections::HashMap<String, Value>);
impl Request {
    fn headers(&self) -> &std::collections::HashMap<String, Value> {
        &self.0
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = names.iter().zip(&args[2..]).filter(|(_, value)| !value.is_empty());
    let request = Request(headers.map(|(name, value)| (name.to_string(), Value(value.clone()))).collect());
    let body = std::fs::read(&args[5]).unwrap();
    println!("{}", CALL);
}
`,
    },
    main: '',
    build: ['cargo', 'build', '--quiet'],
    command: ['./target/debug/receiver'],
    takes: 'parts',
  },
  bash: {
    file: 'receiver.sh',
    needs: 'bash',
    replacements: { "'whsec_…'": '"$1"', 'body.json': '"$5"' },
    main: `
if [[ $1 == send ]]; then send "$2" "$3" "$4"; exit; fi
id=$2 timestamp=$3 signatures=$4
CALL && echo true || echo false`,
    command: ['bash', 'receiver.sh'],
    takes: 'parts',
  },
} satisfies Record<string, Program>

export type Language = keyof typeof programs
