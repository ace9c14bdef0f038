//! What is recognised, what must pass, and that no text breaks it.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn detections(text: &str) -> Vec<Detection> {
    let mut out = Vec::new();
    detect(text, &mut Room::default(), &mut out);
    out
}

/// What is expected of a text: nothing, or one detection, its text, and what may be shown of it.
fn check(cases: &[(&str, Kind, &str, &str)]) {
    let mut wrong = Vec::new();
    for (text, kind, matched, masked) in cases {
        let found: Vec<_> = detections(text)
            .into_iter()
            .map(|d| (d.kind, text.get(d.span[0]..d.span[1]).unwrap().to_owned(), d.masked))
            .collect();
        if found != [(*kind, (*matched).to_owned(), (*masked).to_owned())] {
            wrong.push(format!("{text}: expected {kind:?} {matched} {masked}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn mobile_numbers() {
    const SAME: &str = "138****5678";
    check(&[
        ("13812345678", Kind::Mobile, "13812345678", SAME),
        ("打我电话13812345678谢谢", Kind::Mobile, "13812345678", SAME),
        ("138-1234-5678", Kind::Mobile, "138-1234-5678", SAME),
        ("138 1234 5678", Kind::Mobile, "138 1234 5678", SAME),
        ("138 12345678", Kind::Mobile, "138 12345678", SAME),
        ("138.1234.5678", Kind::Mobile, "138.1234.5678", SAME),
        ("+86 138 1234 5678", Kind::Mobile, "+86 138 1234 5678", SAME),
        ("+8613812345678", Kind::Mobile, "+8613812345678", SAME),
        ("(+86)13812345678", Kind::Mobile, "+86)13812345678", SAME),
        ("008613812345678", Kind::Mobile, "008613812345678", SAME),
        ("86-13812345678", Kind::Mobile, "86-13812345678", SAME),
        ("１３８-1234-5678", Kind::Mobile, "１３８-1234-5678", SAME),
        ("壹叁捌 1234 五六七八", Kind::Mobile, "壹叁捌 1234 五六七八", SAME),
        ("139 一二三四 5678", Kind::Mobile, "139 一二三四 5678", "139****5678"),
        ("一三八一二三四五六七八", Kind::Mobile, "一三八一二三四五六七八", SAME),
        ("①③⑧①②③④⑤⑥⑦⑧", Kind::Mobile, "①③⑧①②③④⑤⑥⑦⑧", SAME),
        ("¹³⁸¹²³⁴⁵⁶⁷⁸", Kind::Mobile, "¹³⁸¹²³⁴⁵⁶⁷⁸", SAME),
        ("𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖", Kind::Mobile, "𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖", SAME),
        ("1 3 8 1 2 3 4 5 6 7 8", Kind::Mobile, "1 3 8 1 2 3 4 5 6 7 8", SAME),
        ("1,3,8,1,2,3,4,5,6,7,8", Kind::Mobile, "1,3,8,1,2,3,4,5,6,7,8", SAME),
        ("1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", Kind::Mobile, "1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", SAME),
        ("138🌸1234🌸5678", Kind::Mobile, "138🌸1234🌸5678", SAME),
        ("13·81·23·45·67·8", Kind::Mobile, "13·81·23·45·67·8", SAME),
        ("138 12 34 56 78", Kind::Mobile, "138 12 34 56 78", SAME),
        ("1381234五六七八", Kind::Mobile, "1381234五六七八", SAME),
        ("13812345678一个人用的", Kind::Mobile, "13812345678", SAME),
        ("买一13812345678", Kind::Mobile, "13812345678", SAME),
        ("tel:13812345678", Kind::Mobile, "13812345678", SAME),
        ("tel13812345678", Kind::Mobile, "13812345678", SAME),
        ("138\u{200B}1234\u{200B}5678", Kind::Mobile, "138\u{200B}1234\u{200B}5678", SAME),
        ("1、13812345678", Kind::Mobile, "13812345678", SAME),
        ("1. 13812345678", Kind::Mobile, "13812345678", SAME),
        ("取货打13812345678，2号楼", Kind::Mobile, "13812345678", SAME),
        ("联系电话：1381 2345 678", Kind::Mobile, "1381 2345 678", SAME),
        ("快递员电话 13812345678", Kind::Mobile, "13812345678", SAME),
        ("13812345678 下单3件", Kind::Mobile, "13812345678", SAME),
    ]);
    let found = detections("13812345678/13912345678，或 13712345678");
    assert_eq!(found.iter().map(|d| d.kind).collect::<Vec<_>>(), [Kind::Mobile; 3]);
}

#[test]
fn landline_numbers() {
    check(&[
        ("0571-87654321", Kind::Landline, "0571-87654321", "0571******21"),
        ("010-62345678", Kind::Landline, "010-62345678", "010******78"),
        ("(0571)87654321", Kind::Landline, "0571)87654321", "0571******21"),
        ("（021）6234 5678", Kind::Landline, "021）6234 5678", "021******78"),
        ("02162345678", Kind::Landline, "02162345678", "021******78"),
        ("电话057187654321", Kind::Landline, "057187654321", "0571******21"),
        ("0371-6234567", Kind::Landline, "0371-6234567", "0371*****67"),
        ("0571-87654321-801", Kind::Landline, "0571-87654321", "0571******21"),
        ("零五七一 八七六五四三二一", Kind::Landline, "零五七一 八七六五四三二一", "0571******21"),
        ("400-123-4567", Kind::Landline, "400-123-4567", "400*****67"),
        ("客服热线4001234567", Kind::Landline, "4001234567", "400*****67"),
    ]);
}

#[test]
fn contact_ids() {
    check(&[
        ("v：abc_12345", Kind::WechatId, "abc_12345", "ab******5"),
        ("wx号abc12345", Kind::WechatId, "abc12345", "ab*****5"),
        ("加V abc123", Kind::WechatId, "abc123", "ab***3"),
        ("加微信：abc_def-1", Kind::WechatId, "abc_def-1", "ab******1"),
        ("微信号 lovely_cat99", Kind::WechatId, "lovely_cat99", "lo*********9"),
        ("➕薇 abc12345", Kind::WechatId, "abc12345", "ab*****5"),
        ("＋ｖ：ａｂｃ１２３４５", Kind::WechatId, "ａｂｃ１２３４５", "ab*****5"),
        ("我的wechat id: tomcat2020", Kind::WechatId, "tomcat2020", "to*******0"),
        ("威❤abc12345", Kind::WechatId, "abc12345", "ab*****5"),
        ("微 信 abc12345", Kind::WechatId, "abc12345", "ab*****5"),
        ("加vxabc12345", Kind::WechatId, "abc12345", "ab*****5"),
        ("微信搜 shopgirl666", Kind::WechatId, "shopgirl666", "sh********6"),
        ("vx:a b c 1 2 3 4", Kind::WechatId, "a b c 1 2 3 4", "ab****4"),
        ("微信同号13812345678", Kind::WechatId, "13812345678", "138****5678"),
        ("加v 138 1234 5678", Kind::WechatId, "138 1234 5678", "138****5678"),
        ("vx13812345678", Kind::WechatId, "13812345678", "138****5678"),
        ("扣扣 1234567", Kind::QqId, "1234567", "12***67"),
        ("QQ：12345678", Kind::QqId, "12345678", "12****78"),
        ("qq1234567890", Kind::QqId, "1234567890", "12******90"),
        ("企鹅号：一二三四五六七", Kind::QqId, "一二三四五六七", "12***67"),
        ("🐧 123456", Kind::QqId, "123456", "12**56"),
        ("qq群：123 456 789", Kind::QqId, "123 456 789", "12*****89"),
        ("加q ①②③④⑤⑥", Kind::QqId, "①②③④⑤⑥", "12**56"),
        ("Q：12345678", Kind::QqId, "12345678", "12****78"),
        ("群号 123456789", Kind::QqId, "123456789", "12*****89"),
    ]);
}

#[test]
fn addresses() {
    check(&[
        ("发到 zhang.san@qq.com 谢谢", Kind::Email, "zhang.san@qq.com", "z********@qq.com"),
        ("12345@qq.com", Kind::Email, "12345@qq.com", "1****@qq.com"),
        ("ABC@Example.com.cn", Kind::Email, "ABC@Example.com.cn", "a**@example.com.cn"),
        ("abc＠163．com", Kind::Email, "abc＠163．com", "a**@163.com"),
        ("abc艾特qq点com", Kind::Email, "abc艾特qq点com", "a**@qq.com"),
        ("abc(at)gmail.com", Kind::Email, "abc(at)gmail.com", "a**@gmail.com"),
        ("abc @ qq . com", Kind::Email, "abc @ qq . com", "a**@qq.com"),
        ("www.abc.com", Kind::Url, "www.abc.com", "www.abc.com"),
        ("看这里 https://abc.com/x?y=1。", Kind::Url, "https://abc.com/x?y=1", "abc.com/…"),
        ("abc.com快来", Kind::Url, "abc.com", "abc.com"),
        ("hxxp://evil.example/a", Kind::Url, "hxxp://evil.example/a", "evil.example/…"),
        ("abc点com", Kind::Url, "abc点com", "abc.com"),
        ("abc。com", Kind::Url, "abc。com", "abc.com"),
        ("abc . com", Kind::Url, "abc . com", "abc.com"),
        ("ａｂｃ．ｃｏｍ", Kind::Url, "ａｂｃ．ｃｏｍ", "abc.com"),
        ("w w w . a b c . c o m", Kind::Url, "w w w . a b c . c o m", "www.abc.com"),
        ("h t t p : / / abc.top/1", Kind::Url, "h t t p : / / abc.top/1", "abc.top/…"),
        ("http : // t.cn/A6abc", Kind::Url, "http : // t.cn/A6abc", "t.cn/…"),
        ("ⓐⓑⓒ.ⓒⓞⓜ", Kind::Url, "ⓐⓑⓒ.ⓒⓞⓜ", "abc.com"),
        ("abc[.]com", Kind::Url, "abc[.]com", "abc.com"),
        ("abc dot com", Kind::Url, "abc dot com", "abc.com"),
        ("baidu,com", Kind::Url, "baidu,com", "baidu.com"),
        ("12306.cn", Kind::Url, "12306.cn", "12306.cn"),
        ("http://1.2.3.4:8080/x", Kind::Url, "http://1.2.3.4:8080/x", "1.2.3.4/…"),
        ("（abc.shop）", Kind::Url, "abc.shop", "abc.shop"),
        ("192.168.1.20", Kind::Ipv4, "192.168.1.20", "192.168.*.*"),
        ("ip是8.8.8.8", Kind::Ipv4, "8.8.8.8", "8.8.*.*"),
        ("１９２．１６８．１．２０", Kind::Ipv4, "１９２．１６８．１．２０", "192.168.*.*"),
        ("192点168点1点20", Kind::Ipv4, "192点168点1点20", "192.168.*.*"),
    ]);
}

#[test]
fn links_into_groups_and_to_people() {
    for (text, kind) in [
        ("https://weixin.qq.com/g/AbCdEf", Kind::Invite),
        ("https://work.weixin.qq.com/gm/123abc", Kind::Invite),
        ("t.me/joinchat/AAAA", Kind::Invite),
        ("t点me/abc", Kind::Invite),
        ("qm.qq.com/q/abc", Kind::Invite),
        ("https://chat.whatsapp.com/AbC", Kind::Invite),
        ("discord.gg/abc", Kind::Invite),
        ("https://discord.com/invite/abc", Kind::Invite),
        ("https://u.wechat.com/AbCd", Kind::Qr),
        ("http://weixin.qq.com/r/abc", Kind::Qr),
        ("https://work.weixin.qq.com/ca/abc", Kind::Qr),
        ("wxp://f2f0abc", Kind::Qr),
        ("https://qr.alipay.com/abc", Kind::Qr),
        ("https://discord.com/blog", Kind::Url),
        ("https://weixin.qq.com/", Kind::Url),
    ] {
        let found: Vec<_> = detections(text).into_iter().map(|d| d.kind).collect();
        assert_eq!(found, [kind], "{text}");
    }
}

#[test]
fn numbers_with_check_digits() {
    check(&[
        ("11010519491231002X", Kind::ResidentId, "11010519491231002X", "110*************2X"),
        ("身份证11010519491231002x。", Kind::ResidentId, "11010519491231002x", "110*************2X"),
        ("110105 19491231 002X", Kind::ResidentId, "110105 19491231 002X", "110*************2X"),
        ("1101051949123100２Ｘ", Kind::ResidentId, "1101051949123100２Ｘ", "110*************2X"),
        ("6222020000000000000", Kind::BankCard, "6222020000000000000", "6222***********0000"),
        ("卡号 6222 0200 0000 0000 000", Kind::BankCard, "6222 0200 0000 0000 000", "6222***********0000"),
        ("4111-1111-1111-1111", Kind::BankCard, "4111-1111-1111-1111", "4111********1111"),
        ("信用卡4111111111111111", Kind::BankCard, "4111111111111111", "4111********1111"),
        (
            "６２２２０２０００００００００0000",
            Kind::BankCard,
            "６２２２０２０００００００００0000",
            "6222***********0000",
        ),
    ]);
}

#[test]
fn ordinary_numbers_and_words_pass() {
    let mut wrong = Vec::new();
    for text in PASS.lines().filter(|line| !line.is_empty()) {
        let found = detections(text);
        if !found.is_empty() {
            wrong.push(format!("{text}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Prices, orders, dates, sizes, products, versions, and words that only look like the beginning of a contact.
const PASS: &str = "
加我两斤苹果
订单号13812345678
订单编号：13812345678
快递单号 13812345678901
SF1381234567890
YT8812345678901
运单号：138 1234 5678
流水号13812345678
138123456789
213812345678
12013812345678
¥13812345678
13812345678元
13812345678.50
2026-11-27 10:05:48
2026年11月27日 星期五
20261127100548
尺码 130 140 150 160 170
135 140 145 15
36 37 38 39 40 41
两件199，三件289，四件369
满300减50，满500减100
原价1299现价999
9.9元一斤，19.9两斤
1.5L*12瓶 49.9
5斤装 2 箱 138
一共13812元
1381234
138****5678
尾号5678
会员积分 12345
条形码 6901234567892
6901234567892
货号 057187654321
057187654321
邮编 310000
0571
0.571 8765
100-200 300-400
一三五七九
一二三四五六七八九十
三五个人一二三四排好
一百二十三四五
二零二六年一月一日
第一二三四五六七八九十章
11点到12点13分
10点11点12点13点都行
1.2.3.4 章
版本 8.0.30.12
v1.2.13.45
微信版本8.0.30
微信支付可以吗
微信 iPhone15pro 怎么设置
微信 Android 版
微信转账12000
微信：12000元
微信付款 100000
微信群 上新通知
加v领券 vip会员
加VIP群
加vip1234567
V领毛衣 S M L XL
V50 请吃饭
v领 abc
W: 你好吗
QQ糖 12345
QQ音乐会员 10000
QQ 20261127
qq空间打不开
Q1 2026 新品
扣1 扣1 扣1
扣 666666
球球 10000
群里 12345 个人
第 123456 号
房间号 12345
110105194912310021
11010519491331002X
330106199001011234
6222020000000000008
622202000000000000
订单号 6222020000000000000
4111111111111111
4111 1111
2026112712345678901
1234567890123456
node.js 和 vue.js
README.md
a.b.c
3.5.2
report.docx 和 photo.jpg
我。com
ok。好的
好的.谢谢
e.g. this
Mr. Smith
see you. me too
8点com
no.1
U.S.A
@张三 你好
@所有人 开会
a@b
5@6
1:1 兑换
iPhone 17 Pro Max 256G
RTX5090 32G
A4 纸 500 张
NIKE Air Max 270
SPF50+ PA+++
Omega3 鱼油 1000mg
ISBN 9787111213826
取件码 13-8-1234
提货码 138123
密码 abc12345
口令 abc12345
券码 138123456789
车牌 浙A12345
T恤 L码 180/96A
0.01 0.02 0.03
3.14159265358
100% 200% 300%
早上好 good morning everyone
";

#[test]
fn disguises_are_told() {
    for (text, via) in [
        ("13812345678", vec![]),
        ("138-1234-5678", vec![]),
        ("138 1234 5678", vec![Via::Gap]),
        ("１３８12345678", vec![Via::Width]),
        ("①③⑧12345678", vec![Via::Style]),
        ("壹叁捌12345678", vec![Via::Style]),
        ("WWW.ABC.COM", vec![]),
    ] {
        assert_eq!(detections(text)[0].via, via, "{text}");
    }
}

#[test]
fn categories_are_names_and_have_rules() {
    for kind in Kind::ALL {
        assert!(crate::interception::wordlist::is_name(kind.name()));
        let (level, verdict) = kind.default_rule(Speaker::Customer);
        assert!(level < Level::High, "a detection alone blocks nothing: {kind:?}");
        assert_ne!(verdict, Some(Verdict::Block));
    }
    assert!(Kind::ALL.is_sorted());
}

/// Pieces that numbers, addresses and ids are made of, and things between.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "138",
        "1234",
        "5678",
        "１３８",
        "壹",
        "一",
        "①",
        "⑩",
        "0571",
        "-",
        " ",
        ".",
        "点",
        "。",
        "@",
        "艾特",
        "com",
        "qq",
        "微信",
        "vx",
        "加v",
        "：",
        "号",
        "abc12",
        "_",
        "x",
        "+86",
        "http://",
        "/",
        "🐧",
        "\u{200B}",
        "\u{20E3}",
        "🇨🇳",
        "e\u{301}",
        "㎏",
        "\n",
        "，",
        "元",
        "6222",
        "0000",
        "192",
        "𝟏",
        "㈠",
    ]);
    prop::collection::vec(pieces, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn spans_are_whole_clusters_in_order_and_apart(text in pieces()) {
        let boundaries: Vec<usize> =
            text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let mut done = 0;
        for detection in detections(&text) {
            let [start, end] = detection.span;
            prop_assert!(done <= start && start < end && end <= text.len());
            prop_assert!(boundaries.contains(&start) && boundaries.contains(&end));
            prop_assert!((50..=100).contains(&detection.confidence));
            prop_assert!(detection.masked.contains('*') || detection.kind <= Kind::Qr || detection.kind == Kind::Url);
            done = end;
        }
    }

    #[test]
    fn any_text_can_be_looked_at(text in "\\PC*|.*") {
        let mut room = Room::default();
        let mut out = Vec::new();
        detect("加v 138 1234 5678", &mut room, &mut out);
        detect(&text, &mut room, &mut out);
        prop_assert_eq!(&out, &detections(&text));
    }

    /// The gate stops no text in which something would be recognised.
    #[test]
    fn a_mobile_number_is_found_in_any_style(
        rest in prop::collection::vec(0_usize..10, 8), styles in prop::collection::vec(0_usize..6, 11),
        before in "[买货的了。， ]{0,3}", after in "[谢好的。，！ ]{0,3}",
    ) {
        const STYLES: [[char; 10]; 6] = [
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
            ['０', '１', '２', '３', '４', '５', '６', '７', '８', '９'],
            ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'],
            ['〇', '壹', '贰', '叁', '肆', '伍', '陆', '柒', '捌', '玖'],
            ['⓪', '①', '②', '③', '④', '⑤', '⑥', '⑦', '⑧', '⑨'],
            ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'],
        ];
        let digits: Vec<usize> = [1, 3, 8].into_iter().chain(rest.iter().copied()).collect();
        prop_assume!(rest.iter().any(|digit| *digit != rest[0]));
        let number: String = digits.iter().zip(&styles).map(|(digit, style)| STYLES[*style][*digit]).collect();
        let text = format!("{before}{number}{after}");
        let found = detections(&text);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].kind, Kind::Mobile);
        prop_assert_eq!(found[0].span, [before.len(), before.len() + number.len()]);
        let plain: String = digits.iter().map(usize::to_string).collect();
        let masked = format!("138****{}", plain.get(7..).unwrap());
        prop_assert_eq!(&found[0].masked, &masked);
    }

    #[test]
    fn what_is_masked_shows_two_thirds_at_most(value in "[0-9a-z]{1,24}", first in 0_usize..6, last in 0_usize..6) {
        let masked = masked(&value, first, last);
        prop_assert_eq!(masked.len(), value.len());
        let hidden = masked.bytes().filter(|b| *b == b'*').count();
        prop_assert!(hidden * 3 >= value.len());
        for (shown, original) in masked.bytes().zip(value.bytes()) {
            prop_assert!(shown == b'*' || shown == original);
        }
    }
}
