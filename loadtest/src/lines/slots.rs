//! Fills the `{slots}` of a line: products, prices, sizes, times, people and places of a neighbourhood shop.

use rand::Rng;
use rand::seq::IndexedRandom;

const PRODUCTS: &[&str] = &[
    "草莓",
    "车厘子",
    "蓝莓",
    "丹东九九",
    "耙耙柑",
    "红心火龙果",
    "鲜牛奶",
    "希腊酸奶",
    "土鸡蛋",
    "五花肉",
    "黑虎虾",
    "三文鱼",
    "吐司",
    "牛角包",
    "桂花糕",
    "青团",
    "坚果礼盒",
    "挂面",
    "菜籽油",
    "东北大米",
    "洗衣液",
    "抽纸",
    "洗碗块",
    "婴儿湿巾",
    "儿童雨衣",
    "棉拖鞋",
    "羽绒服",
    "加绒卫衣",
    "羊毛围巾",
    "保温杯",
    "空气炸锅",
    "台灯",
    "猫粮",
    "狗零食",
];
const UNITS: &[&str] = &["一斤", "两斤", "一盒", "两盒", "三份", "一箱", "半箱", "一袋", "两瓶", "一件"];
const SIZES: &[&str] = &["S码", "M码", "L码", "XL码", "36码", "38码", "40码", "120的", "130的", "均码"];
const COLOURS: &[&str] = &["米白", "藏青", "浅灰", "豆沙色", "奶咖", "墨绿", "雾蓝", "驼色"];
const TIMES: &[&str] = &[
    "今天下午",
    "明天早上",
    "明天中午",
    "后天",
    "周六",
    "周日上午",
    "晚上七点",
    "六点半",
    "下班以后",
    "这周五",
    "月底",
];
const PEOPLE: &[&str] =
    &["店长", "小陈", "阿芳", "老板", "刘姐", "小周", "掌柜的", "管家", "各位邻居", "群里的妈妈们"];
const PLACES: &[&str] =
    &["门口", "收银台", "三号货架", "冷柜那边", "自提柜", "物业前台", "东门", "地铁口", "小区快递点", "二楼"];
const TASTES: &[&str] =
    &["挺甜的", "有点酸", "很新鲜", "比上次小一点", "口感不错", "水分足", "稍微有点软", "孩子爱吃"];

/// Replaces every `{name}` that is known; a line with an unknown slot would show it, and the tests look for that.
pub(super) fn fill(template: &str, rng: &mut impl Rng) -> String {
    let mut filled = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            rest = after;
            break;
        };
        slot(name, rng, &mut filled);
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

fn slot(name: &str, rng: &mut impl Rng, out: &mut String) {
    let words = match name {
        "product" => PRODUCTS,
        "unit" => UNITS,
        "size" => SIZES,
        "colour" => COLOURS,
        "time" => TIMES,
        "person" => PEOPLE,
        "place" => PLACES,
        "taste" => TASTES,
        "price" => {
            return out.push_str(
                &format_args!("{}.{}", rng.random_range(3..120), rng.random_range(0..10)).to_string(),
            );
        }
        "n" => return out.push_str(&rng.random_range(2..30).to_string()),
        "room" => {
            return out.push_str(
                &format_args!("{}-{}02", rng.random_range(1..19), rng.random_range(1..25)).to_string(),
            );
        }
        "code" => return out.push_str(&format_args!("{:04}", rng.random_range(0..10_000)).to_string()),
        "letters" => return out.extend((0..5).map(|_| char::from(rng.random_range(b'a'..=b'z')))),
        unknown => return out.push_str(&format_args!("{{{unknown}}}").to_string()),
    };
    out.push_str(words.choose(rng).copied().unwrap_or_default());
}
