//! What the CEL specification's conformance cases (`tests/simple/testdata` of cel-spec) require, in cases of our own by the
//! names of its files and sections, and where we differ.

use serde_json::Value as Json;

use super::{Bindings, Expression, ROOM, Room, Scope};

fn evaluate(expression: &str) -> Result<Json, String> {
    let compiled = Expression::compile(expression, Scope::Change).map_err(|errors| errors[0].message.clone())?;
    compiled.value(&Bindings::default(), &Room::new(ROOM)).map_err(|stop| compiled.describe(&stop))
}

/// Conditions that hold, by section. What CEL's type checker refuses and its evaluator takes is taken here, too.
const TRUE: &[(&str, &[&str])] = &[
    (
        "basic: self_eval",
        &[
            "0 == 0u",
            "0e+0 == 0.0",
            "-9223372036854775808 < -9223372036854775807",
            "-1.5e+2 == -150.0",
            r#"'' == r"""#,
            r"size(b'\u00e9') == 2",
            "{'a': 1}['a'] == [1][0]",
            r"'\'' == r'''''' + '''\''''",
        ],
    ),
    (
        "parse: nest, repeat",
        &[
            "[0].map(a, [a][[a][[a][[a][[a][[a][[a][[a][[a][[a][[a][[a][0]]]]]]]]]]]]) == [0]",
            "int(uint(int(uint(int(uint(int(uint(int(uint(int(uint(3)))))))))))) == 3",
            "size([[[[[[[[[[[[0]]]]]]]]]]]]) == size({0: {0: {0: {0: {0: {0: {0: {0: {0: {0: {0: {0: 1}}}}}}}}}}}})",
            "((((((((((((((((((((((((((((((((true))))))))))))))))))))))))))))))))",
            "false ? false : false ? false : false ? false : false ? false : false ? false : false ? false : true",
            "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!true",
            "--------------------------------7 == 7",
            "3 * 3 / 3 * 3 / 3 * 3 / 3 * 3 / 3 * 3 / 3 * 3 / 3 == 3",
            "2 - 2 + 2 - 2 + 2 - 2 + 2 - 2 + 2 - 2 + 2 == 2",
            "[[[[[['a']]]]]][0][0][0][0][0][0] == 'a'",
        ],
    ),
    (
        "parse: string_literals, bytes_literals",
        &[
            r#"'a' == "a" && 'a' == '''a''' && 'a' == """a""""#,
            r#"size(' \\ \? \" \' \` ') == 11"#,
            r#"''' ? " ' ` ''' == """ ? " ' ` """"#,
            r"size('\a\b\f\n\r\t\v') == 7",
            "''' \r\n ''' == ' \\r\\n '",
            r"'\001\x01\X01\u0001\U00000001' == '\u0001\u0001\u0001\u0001\u0001'",
            r"'\x4a\X4B\u01aB\U000001Ab' == 'JK\u01AB\u01ab'",
            r"size('\U0001F62C\U00088888') == 2",
            r"r'\d\n' == '\\d\\n' && R'\x00' == '\\x00'",
            r"b'\303\277' == bytes('ÿ') && b'\377' == b'\xff' && bytes('\377') != b'\377'",
            r"br'\n' == bytes('\\n') && bR'\u0000' == B'\\u0000'",
        ],
    ),
    (
        "parse: whitespace, comments, selectors",
        &[
            "[ 17 ] [ 0 ] == ( 18 - 1 ) && ! false ? true : false",
            "[\t17\t]\t[\n0\n]\r==\r(\u{c}18\u{c}-\u{c}1)",
            "[ // ]\n17 // @\n][0] // \" '\n == 17",
            "{'if': 1, 'as': 2, 'var': 3}.if == 1 && {'package': 1}.package == 1",
        ],
    ),
    (
        "comparisons",
        &[
            "1 == 1.0 && 1u == 1 && 2 != 3u",
            "'a' != 'A' && null == null && b'a' == b'a' && [1, 2] != [2, 1]",
            "{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1.0} && {'a': 1} != {'a': 1, 'b': 2} && {} == {}",
            "!(1 == '1') && 1 != '1' && null != 0 && [] != {}",
            "-1 < 0 && 1.0 < 1.0000001 && !(-0.0 < 0.0) && 1 < 1.5 && 2u > 1",
            "'Abc' < 'aBC' && 'abc' < 'abcd' && 'a' < 'á' && !('a' < 'AB') && '' <= ''",
            "b'a' < b'b' && !(b'\u{e1}' < b'b') && false < true && !(true < true)",
            ".99 <= 9.9e-1 && 9223372036854775807 > 9.2e18",
            "1 in [1.0] && 'a' in {'a': null} && !(2 in {1: 2}) && 5u in {5: 1} && !('a' in [])",
        ],
    ),
    (
        "integer_math",
        &[
            "40 + -3 == 37 && -40 - -3 == -37 && -6 * -7 == 42",
            "17 / 5 == 3 && -17 / 5 == -3 && 17 / -5 == -3 && -17 / -5 == 3",
            "17 % 5 == 2 && 17 % -5 == 2 && -17 % 5 == -2 && -17 % -5 == -2",
            "-(17) == -17 && -(-17) == 17 && -(0) == 0",
            "7u / 2u == 3u && 7u % 2u == 1u && 7u - 2u == 5u && 7u * 2u == 14u",
        ],
    ),
    (
        "fp_math",
        &[
            "4.25 + 15.5 == 19.75 && 1.5 - 2.75 == -1.25 && -1.5 * 2.5 == -3.75",
            "0.0625 / 0.002 == 31.25 && -8.875 / -0.0625 == 142.0 && -2.0 / 2.0 == -1.0",
            "-(4.5) == -4.5 && -(-4.5) == 4.5 && -(0.0) == 0.0",
            "1.5 * (23.625 * 0.75) == (1.5 * 23.625) * 0.75 && 2.5 * (1.5 + 2.5) == 2.5 * 1.5 + 2.5 * 2.5",
        ],
    ),
    (
        "lists, fields",
        &[
            "[1] + [2, 3] == [1, 2, 3] && [1] + [2] != [2, 1] && [] + [] == []",
            "[7, 8, 9][0] == 7 && [7, 8, 9][dyn(0.0)] == 7 && [7, 8, 9][2u] == 9",
            "{1: 'a', 2: true}[2] && {true: 5}[true] == 5 && {'a': {'b': [1]}}.a.b == [1] && {1u: 'x'}[1] == 'x'",
            "{true: null}[true] == null && has({'a': null}.a) && !has({'a': 1}.b)",
        ],
    ),
    (
        "logic",
        &[
            "(true ? 1 : 1 / 0) == 1 && (false ? 1 : 'a') == 'a'",
            "!(false && 32) && !('horses' && false) && (true || 32) && ('horses' || true)",
            "!(1 / 0 > 3 && false) && (1 / 0 > 3 || true) && !(false && 1 / 0 > 3)",
        ],
    ),
    (
        "macros",
        &[
            "[1, 2].exists(e, e > 1) && ![1, 2].exists(e, e > 2) && [1, 'a'].exists(e, e != 'a') && ![].exists(e, true)",
            "{'a': 1}.exists(k, k == 'a') && {'a': 1, 2: 3}.exists(k, k == 2) && [0, 1].exists(e, 1 / e == 1)",
            "[1, 2].all(e, e > 0) && ![1, 'a', 3].all(e, e == 1) && [].all(e, false) && ![1, 2].all(e, 6 / (2 - e) == 6 && false)",
            "[7].exists_one(a, a == 7) && ![7, 7].exists_one(a, a == 7) && ![].exists_one(a, true) && {6: 1, 7: 2}.exists_one(k, k == 6)",
            "[3, 4].map(n, n * n) == [9, 16] && [1, 2, 3].map(n, n > 1, n * 2) == [4, 6] && {1: 5, 2: 6}.map(k, k * k) == [1, 4]",
            "[0, 1, 2, 3].filter(n, n % 2 == 1) == [1, 3] && {0: 10, 1: 11}.filter(k, k > 0) == [1] && [].filter(n, true) == []",
            "[1, 2].all(x, [3, 4].exists(y, [x].exists(x, x < y) && x < 3))",
        ],
    ),
    (
        "string, string_ext",
        &[
            "size('') == 0 && size('ÿ') == 1 && size('πέντε') == 5 && 'ab'.size() == 2",
            "'foobar'.startsWith('foo') && !''.startsWith('a') && ''.startsWith('') && 'завтра'.startsWith('за')",
            "'foobar'.endsWith('bar') && 'forté'.endsWith('té') && 'a'.contains('') && 'Straße'.contains('aß')",
            "'hubba'.matches('ubb') && 'grey'.matches('^gr(a|e)y$') && matches('mañana', 'a+ñ+a+') && ''.matches('')",
            "'a' + 'b' + '' == 'ab' && b'a' + b'b' == b'ab'",
            "'TacoCÆt'.lowerAscii() == 'tacocÆt' && 'tacoCαt'.upperAscii() == 'TACOCαT'",
            "'{0} {0}'.replace('{0}', '2') == '2 2' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'a'.replace('a', 'b', 0) == 'a'",
            "'a b c'.split(' ') == ['a', 'b', 'c'] && 'a b'.split(' ', 0) == [] && 'a b c'.split(' ', 2) == ['a', 'b c'] && 'a b'.split(' ', -1) == ['a', 'b']",
            "'tacocat'.substring(4) == 'cat' && 'ta©o©αT'.substring(2, 6) == '©o©α' && 'a'.substring(1) == ''",
            r"' \f\n\r\t\v\u0085\u00a0\u3000a '.trim() == 'a' && '\u200ba'.trim() == '\u200ba'",
            "['x', 'y'].join() == 'xy' && ['x', 'y'].join('-') == 'x-y' && [].join('-') == ''",
        ],
    ),
    (
        "conversions",
        &[
            "bytes('abc') == b'abc' && string(b'\\303\\277') == 'ÿ' && bytes(b'a') == b'a'",
            "double(0) == 0.0 && double('-84.32e7') == -8.432e8 && double('1.38e-23') == 1.38e-23 && double(3u) == 3.0",
            "int(1.9) == 1 && int(-7.9) == -7 && int('-98') == -98 && int(timestamp('2004-09-16T23:59:59Z')) == 1095379199",
            "uint(3.9) == 3u && uint('300') == 300u && uint(17) == 17u",
            "string(123) == '123' && string(-4u) == '-4' && string(1.5) == '1.5' && string(true) == 'true' && string('a') == 'a'",
            "bool('true') && !bool('0') && bool('T' + 'rue') && bool(true)",
            "type(1) == int && type(1.0) == double && type('') == string && type(b'') == bytes && type(null) == null_type",
            "type([]) == list && type({}) == map && type(true) == bool && type(int) == type && type(type) == type && type(1) != type(1.0)",
            "type([1]) == type(['a']) && type({1: 2}) == type({'a': null}) && type(dyn([1, 'one'])) == list",
        ],
    ),
    (
        "timestamps",
        &[
            "int(timestamp('2009-02-13T23:31:30Z')) == 1234567890 && timestamp(1234567890) == timestamp('2009-02-13T23:31:30Z')",
            "string(timestamp('2009-02-13T23:31:30Z')) == '2009-02-13T23:31:30Z' && string(duration('1h45m47s')) == '6347s'",
            "[timestamp('2009-02-13T23:31:30.123456789Z')].all(t, t.getFullYear() == 2009 && t.getMonth() == 1 && t.getDate() == 13 && t.getDayOfMonth() == 12 && t.getDayOfWeek() == 5 && t.getDayOfYear() == 43 && t.getHours() == 23 && t.getMinutes() == 31 && t.getSeconds() == 30 && t.getMilliseconds() == 123)",
            "[timestamp('2009-02-13T23:31:30Z')].all(t, t.getDate('Australia/Sydney') == 14 && t.getDayOfMonth('+11:00') == 13 && t.getHours('02:00') == 1 && t.getMinutes('Asia/Kathmandu') == 16 && t.getSeconds('-00:00') == 30 && t.getFullYear('-09:30') == 2009)",
            "timestamp('2009-02-13T23:00:00Z') + duration('240s') == duration('4m') + timestamp('2009-02-14T00:00:00+01:00')",
            "timestamp('0001-01-01T00:00:01.000000001Z') + duration('-999999999ns') == timestamp('0001-01-01T00:00:00.000000002Z')",
            "timestamp('2009-02-13T23:31:00Z') - timestamp('2009-02-13T23:29:00Z') == duration('2m') && duration('900s') - duration('42s') == duration('858s')",
            "timestamp('2009-02-13T23:00:00Z') < timestamp('2009-03-13T23:00:00Z') && duration('300s') >= duration('5m') && duration('-1.5h') < duration('0s')",
            "duration('10000s').getHours() == 2 && duration('3730s').getMinutes() == 62 && duration('3730s').getSeconds() == 3730 && duration('123.321s').getMilliseconds() == 321",
        ],
    ),
];

/// What has no value, by section.
const ERRORS: &[(&str, &[&str])] = &[
    ("integer_math, fp_math", &["42 % 0", "15 / 0", "15u / 0u", "47.5 % 5.5", "15.75 / 0.0", "1 + 'a'", "-'a'"]),
    (
        "logic",
        &["1 / 0 > 4 ? 'a' : 'b'", "'cows' ? 1 : 2", "true && 1 / 0 > 0", "1 / 0 > 0 || false", "'a' && 'b'", "!1"],
    ),
    ("comparisons", &["[0] < [1]", "{0: 1} < {1: 2}", "null < null", "1 < '2'", "'a' < b'a'", "1 in 'a'"]),
    (
        "lists, fields",
        &[
            "[7, 8][2]",
            "[7][-1]",
            "[7, 8][dyn(0.1)]",
            "[7]['0']",
            "{0: 1}[1]",
            "{'a': 1}.b",
            "[1].a",
            "7.a",
            "{1: 2, 1: 3}",
        ],
    ),
    (
        "macros",
        &[
            "[1].exists(e, e / 0 == 17)",
            "[1, 'a', 3].all(e, e % 2 == 1)",
            "[3, 2, 1, 0].exists_one(n, 12 / n > 1)",
            "[1, 0].map(n, 4 / n)",
            "[1, 0].filter(n, 12 / n > 4)",
            "1.exists(e, true)",
        ],
    ),
    (
        "conversions, timestamps",
        &[
            "int(18446744073709551615u)",
            "int(1e99)",
            "int('a')",
            "uint(-1)",
            r"string(b'\000\xff')",
            "double('a')",
            "bool('yes')",
            "timestamp('10000-01-01T00:00:00Z')",
            "timestamp('2009-02-13')",
            "timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns')",
            "duration('1x')",
        ],
    ),
    ("string_ext", &["'abc'.substring(4)", "'abc'.substring(2, 1)", "'abc'.substring(-1)", "[1].join()"]),
    (
        "parse",
        &["dyn", "if", "a.b", "'\\ud800'", "[1, 2", "1 2", "true ? true ? 1 : 2 : 3", "99999999999999999999", "f()"],
    ),
];

/// Where we differ, with what we give: the reasons are in docs/language.md, by these words.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "one kind of number",
        &[
            "type(1u) == int",
            "1 + 0.5 == 1.5 && 2u * 0.5 == 1",
            "-(5u) == -5",
            "2.0 * 8.988466e+307 > 1.7e308",
            "1e-324 / 2.0 > 0.0",
            "0.1 + 0.2 == 0.3",
        ],
    ),
    (
        "beyond 64 bits",
        &["9223372036854775807 + 1 == 9223372036854775808.0", "-(-9223372036854775808) > 0", "0u - 1u == -1"],
    ),
    ("`%` of whole numbers", &["7.0 % 4.0 == 3"]),
    ("the digits it came with", &["string(-4.5e-3) == '-4.5e-3'", "string(1.0) == '1.0'"]),
    ("absent", &["[{'a': 1}].filter(m, coalesce(m.b, 0) == 1) == []", "{}.a == null", "!({'a': null}.a > 1 && false)"]),
    (
        "types have short names",
        &["string(type(timestamp(0))) == 'timestamp'", "string(type(duration('1s'))) == 'duration'"],
    ),
    (
        "years",
        &[
            "timestamp('0000-01-01T00:00:00Z') < timestamp(0)",
            "timestamp('9999-12-31T23:59:59Z') == timestamp('infinity')",
            "timestamp('9999-01-01T00:00:00Z') - timestamp('0001-01-01T00:00:00Z') > duration('320000000000s') - duration('10000000000s')",
        ],
    ),
];

/// What CEL or its extensions have and we do not: the reasons are in docs/language.md, too.
const REFUSED: &[(&str, &[&str])] = &[
    ("messages", &["TestAllTypes{single_int64: 1}", "google.protobuf.Duration{seconds: 1}"]),
    ("optional values", &["{'a': 1}.?a", "{'a': 1}[?'a']", "[?1]"]),
    ("names are checked", &["true || [1].as()", "uint == uint", "true || f(1)"]),
    (
        "extensions",
        &[
            "'a'.charAt(0)",
            "'a'.indexOf('a')",
            "'%d'.format([1])",
            "math.greatest(1, 2)",
            "cel.bind(x, 1, x)",
            "[1].all(i, v, v > 0)",
            "base64.encode(b'a')",
        ],
    ),
];

#[test]
fn what_the_specification_requires_holds() {
    for (section, conditions) in TRUE {
        for condition in *conditions {
            assert_eq!(evaluate(condition), Ok(Json::Bool(true)), "{section}: {condition}");
        }
    }
    for (section, expressions) in ERRORS {
        for expression in *expressions {
            assert!(evaluate(expression).is_err(), "{section}: {expression} is {:?}", evaluate(expression));
        }
    }
}

#[test]
fn where_we_differ_is_documented() {
    let docs = include_str!("../../../docs/language.md");
    let (_, differences) = docs.split_once("## Where it differs from CEL").expect("the chapter");
    let (differences, _) = differences.split_once("\n## ").expect("the next chapter");
    for (reason, conditions) in DIFFERENT {
        assert!(differences.contains(reason), "{reason} is not among the differences of the docs");
        for condition in *conditions {
            assert_eq!(evaluate(condition), Ok(Json::Bool(true)), "{reason}: {condition}");
        }
    }
    for (reason, expressions) in REFUSED {
        assert!(differences.contains(reason), "{reason} is not among the differences of the docs");
        for expression in *expressions {
            assert!(Expression::compile(expression, Scope::Change).is_err(), "{reason}: {expression}");
        }
    }
}
