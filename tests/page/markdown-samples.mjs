/** Texts for the tests of Markdown: parts to make texts of, links of all disguises, and what an attacker writes. */

/** Each part is a construct, a piece of one, or what ends one. */
export const PARTS = ["a", "word ", "é", "🌊", " ", "  ", "\n", "\n\n", "\n- ", "\n1. ", "\n12) ", "\n> ", "\n   ", "\n     ", "\t"].concat(
  ["# ", "\n## x ##", "\n---\n", "\n===\n", "\n***\n", "\n```js\n", "\n```\n", "\n~~~\n", "*", "**", "_", "__", "~~", "`", "``", "\\", "\\\n"],
  ["[a](https://b.example)", "[a][b]", "[b]: https://c.example 'd'\n", "\n\n[b]: <x> ", "[", "](", "](h", ")", "![", "]", "<https://a.example>", "<"],
  ["https://d.example/e_f).", "http", "://x", "&amp;", "&#x41;", "&", "$x_1$", "$", "$$", "\n$$\n", "\\(y\\)", "\\[", "\\]", "- [ ] ", "[x] ", "[ ", "\r\n", "\r"],
  ["\n| a | b |\n|---|:-:|\n", "| c | `d` |\n", "|", "\n|", "a | b\n- | -\n", " \\| ", "1234567890", "    code\n", "5 * 3", "</p>", "<b onclick=x>"],
);

/** Destinations that must not become links. */
export const LINKS = [
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  "javascript&colon;alert(1)",
  "java&#x0A;script:alert(1)",
  "&#106;avascript:alert(1)",
  "&#x6A&#x61;vascript:alert(1)",
  "java\\script:alert(1)",
  "\u0001javascript:alert(1)",
  "java\u200bscript:alert(1)",
  "javascript://https://a.example/%0aalert(1)",
  "vbscript:msgbox(1)",
  "data:text/html,<script>alert(1)</script>",
  "data:text/html;base64,PHNjcmlwdD4=",
  "data:image/svg+xml,%3Csvg%20onload=alert(1)%3E",
  "blob:https://a.example/1",
  "file:///etc/passwd",
  "view-source:https://a.example",
  "ftp://a.example",
  "//a.example",
  "/v1/replies",
  "#fragment",
  "?query",
  "https:a.example",
  "https:/a.example",
  "https:\\\\a.example",
  "http://",
  "xx:https://a.example",
  "ｊavascript:alert(1)",
];

const long = (part, length) => part.repeat(Math.ceil(length / part.length));
const MANY = 10_000;
const MEGABYTE = 1_000_000;

/** What an attacker, or a model gone wrong, writes. */
export const HOSTILE = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)>",
  "<a href='javascript:alert(1)'>x</a>",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  "<style>*{display:none}</style>",
  "<!--[if IE]><script>alert(1)</script><![endif]-->",
  "<![CDATA[<script>alert(1)</script>]]>",
  "<?php alert(1) ?>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "[<img src=x onerror=alert(1)>](https://a.example)",
  '[a](https://a.example "onmouseover=alert(1)")',
  "[a](https://a.example\"onmouseover='alert(1)')",
  "![\"onerror=alert(1)](https://a.example/x)",
  "```\"onclick=alert(1) <b>\n</code></pre><script>alert(1)</script>\n```",
  "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script> | </td></table> |",
  "[a]: javascript:alert(1)\n\n[a] [b][a]",
  "<javascript:alert(1)> <vbscript:x> <data:text/html,x>",
  "https://a.example/\u202egnp.exe",
  "\u202e[elpmaxe.a](https://b.example) \u2066 **\u202a `\u202e` \u2069",
  "__proto__ constructor [__proto__]: https://a.example\n\n[__proto__] [constructor] [toString][hasOwnProperty]",
  "\0[a](java\0script:alert(1))\ufeff",
  "\ud800 \udc00 *\ud800* [\udfff](https://a.example/\ud800)",
  ...LINKS.map((destination) => `[a](${destination}) ![b](<${destination}>) <${destination}>`),
  ...[">", "> ", "- ", "1. ", ">- ", "* > 1. ", "#", "`", "~", "*", "_", "**a ", "*a_ ", "[", "![", "]", "[a](", "[a][", "(", "<", "&", "|", "| ", "\\", "$", "$a", "\\(", "\\[", "=", "-", "https://", "a_", "~~a"].map((part) => long(part, MANY)),
  ...["> ", "- a\n", "> a\n", "- \n", "1. a\n\n", "| a\n", "#\n", "```\n", "~~~\n\n", "$$\n", "[a]: /b\n", "[a]:\n", "a\n=\n", "    a\n", "\n", "- [ ] a\n", "[a][a]\n\n", "*a\n_b\n"].map((part) => long(part, MANY)),
  Array.from({ length: 200 }, (_, depth) => `${"  ".repeat(depth)}- a\n`).join(""),
  Array.from({ length: 200 }, (_, depth) => `${">".repeat(depth)} a\n`).join(""),
  `${long("|a", 900)}|\n${long("|-", 900)}|\n${long("a\n", MANY)}`,
  `|a|b|\n|-|-|\n${long("|", MANY)}\n${long("\\|", MANY)}`,
  ...["a", "a ", "*a ", "`a ", "[a ", "- ", "\u202e", "🌊"].map((part) => long(part, MEGABYTE)),
  `\`\`\`\n${long("a", MEGABYTE)}`,
  `|a|\n|-|\n|${long("b ", MEGABYTE)}`,
];
