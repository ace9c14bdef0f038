//! What customers of a neighbourhood shop ordinarily write in its group, and what they ask.
//!
//! Deliberately includes talk that a careless wordlist would catch (paying by 微信, adding one more, a friend's number plate):
//! an ordinary line that is not passed is a false alarm, and the demo counts it as one.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::slots::fill;

/// One line of ordinary talk.
pub fn ordinary(rng: &mut impl Rng) -> String {
    let mut line = fill(ORDINARY.choose(rng).copied().unwrap_or_default(), rng);
    match rng.random_range(0..10) {
        0 => line.push_str(TAILS.choose(rng).copied().unwrap_or_default()),
        1 => line.insert_str(0, HEADS.choose(rng).copied().unwrap_or_default()),
        _ => {}
    }
    line
}

/// One question that a keyword reply is meant for.
pub fn question(rng: &mut impl Rng) -> String {
    fill(QUESTIONS.choose(rng).copied().unwrap_or_default(), rng)
}

/// One line that staff write.
pub fn staff(rng: &mut impl Rng) -> String {
    fill(STAFF.choose(rng).copied().unwrap_or_default(), rng)
}

const HEADS: &[&str] =
    &["早上好，", "哈喽，", "不好意思打扰一下，", "问一下，", "哈哈，", "对了，", "@店长 "];
const TAILS: &[&str] = &["谢谢啦", "🙏", "😄", "，辛苦了", "～", "，麻烦了", "👍👍"];

const QUESTIONS: &[&str] = &[
    "营业时间",
    "营业时间是几点到几点",
    "你们几点开门",
    "几点关门呀",
    "周末营业时间一样吗",
    "地址",
    "店的地址发一下",
    "你们店在哪里，地址有吗",
    "怎么走，离地铁近吗",
    "优惠券",
    "优惠券在哪里领",
    "上次的优惠券还能用吗",
    "停车方便吗",
    "能送货吗",
    "配送范围到哪里",
    "多少钱起送",
    "可以退货吗",
    "退货要带小票吗",
    "会员卡怎么办",
    "积分怎么用",
    "发票怎么开",
    "{product}还有吗",
    "{product}多少钱",
    "今天有什么活动",
    "电话多少",
    "可以预订{product}吗",
];

const STAFF: &[&str] = &[
    "各位邻居早，今天的{product}到货了，在{place}，先到先选",
    "{product}今天{price}元{unit}，数量不多，要的在群里说一声",
    "{time}自提的订单都放在{place}了，报手机尾号就能拿",
    "刚才问{product}的邻居，{size}还有{n}件",
    "今天的订单已经全部配好，骑手在路上了",
    "抱歉，{product}刚刚卖完，{time}再补货",
    "下雨天地面滑，大家进店小心脚下",
    "{room}的邻居，您的{product}忘在{place}了，给您收着呢",
    "收到，马上给您留{unit}",
    "好的，已经登记，{time}给您送到{place}",
];

const ORDINARY: &[&str] = &[
    "今天的{product}到了吗",
    "{product}还有货吗，想要{unit}",
    "昨天买的{product}{taste}",
    "{product}{taste}，下次还买",
    "请问{product}怎么卖",
    "{product}是{price}一份吗",
    "给我留{unit}{product}，{time}来拿",
    "我要{unit}{product}，放{place}就行",
    "加一份{product}，谢谢",
    "再加{unit}，一共多少",
    "{time}能送到吗",
    "{time}自提可以吗",
    "快递放{place}了，我下班去拿",
    "我家{room}，送到门口就好",
    "不用送上楼，放{place}",
    "{person}在吗",
    "{person}，帮我看看订单发了没有",
    "{person}今天值班吗",
    "昨天的小票找不到了，还能换吗",
    "{product}有{size}吗",
    "{size}会不会偏大",
    "{colour}的还有吗",
    "{colour}和{colour}哪个耐脏一点",
    "这件{product}能机洗吗",
    "洗了一次没有缩水，放心穿",
    "孩子穿{size}刚刚好",
    "身高一米六五穿{size}可以吗",
    "鞋子偏大半码，可以垫个鞋垫",
    "袋子破了一个口，里面没事",
    "鸡蛋碎了两个，给补一下吧",
    "收到了，包装很仔细",
    "收到啦，{taste}",
    "刚拿到，还是冰的",
    "牛奶的日期是哪天的",
    "保质期到什么时候",
    "开封以后能放几天",
    "冷冻还是冷藏",
    "{product}怎么保存",
    "这个怎么做好吃",
    "煮十分钟就行，加点葱花",
    "我一般是清蒸，少放盐",
    "空气炸锅两百度十五分钟，外皮脆的",
    "糖放多了会腻，减半刚好",
    "老人吃会不会太硬",
    "给宝宝吃的话切小块",
    "花生过敏的能吃吗",
    "配料表能拍一下吗",
    "今天{price}，昨天不是便宜一点吗",
    "{product}比超市便宜两块",
    "会员价是多少",
    "满减可以叠加吗",
    "积分快到期了，提醒一下大家",
    "券用不了，提示不在范围",
    "我的券怎么不见了",
    "可以用微信付款吗",
    "支付宝付的，看一下到账没有",
    "刚才多付了{price}，能退吗",
    "退款收到了，谢谢{person}",
    "发票开公司抬头可以吗",
    "小程序打不开，一直转圈",
    "小程序更新以后好用多了",
    "下单的时候选错地址了，改成{room}",
    "订单{code}什么时候发",
    "尾号{code}，到了叫我",
    "自提码是{code}吗",
    "我在{place}了，没看到人",
    "两分钟就到，等我一下",
    "{time}我让家里人来拿",
    "帮邻居代拿可以吗",
    "{room}的快递拿错了，麻烦看一下",
    "谁家的伞落在{place}了",
    "有人捡到一串钥匙吗，上面有只小熊",
    "找到了，在{place}，谢谢大家",
    "电梯今天检修，送货的走楼梯辛苦了",
    "小区停水到几点",
    "晚上好像要下雨，早点来拿",
    "今天真冷，出门多穿一点",
    "路上堵车，晚{n}分钟",
    "周末人多，停车不好找",
    "门口施工，从{place}那边进",
    "孩子放学了，顺路过来",
    "接了孩子就过去，大概{n}分钟",
    "中午吃什么好，想不出来",
    "晚上包饺子，差一把韭菜",
    "有没有一起拼一箱{product}的",
    "拼单还差几个人",
    "我和楼上{room}拼一箱",
    "算我一个，要{unit}",
    "我也要，{unit}",
    "+1，要{unit}{product}",
    "同问，{product}有没有",
    "排队的人多吗",
    "现在人不多，可以过来",
    "早上八点来人少",
    "{product}是当天到的吗",
    "产地是哪里",
    "这批{product}比上批好",
    "上次那个牌子还进吗",
    "能不能进一点{product}",
    "建议把{product}放到{place}，好找一点",
    "货架太高了，够不到",
    "昨天那位小姑娘服务很耐心",
    "{person}人很好，帮我搬到车上",
    "送货的小哥很客气",
    "态度挺好的，就是等得久一点",
    "有点失望，{product}不太新鲜",
    "可以换一份吗，这份{taste}",
    "秤好像不准，麻烦再称一下",
    "少了一样，{product}没有放进去",
    "多给了一袋，我{time}送回去",
    "昨天看错价了，以为是{price}",
    "哈哈哈我也是",
    "好的好的",
    "收到，谢谢",
    "没事，不着急",
    "明白了",
    "可以可以",
    "太可爱了吧",
    "这只猫是店里的吗",
    "店里的绿萝长得真好",
    "生日快乐，吃蛋糕了吗",
    "恭喜恭喜",
    "新来的邻居，大家好",
    "我刚搬来{room}，请多关照",
    "欢迎欢迎",
    "昨晚看球看到两点，今天困死了",
    "电视剧更新了吗",
    "周六有烘焙课吗，想带孩子来",
    "手工课还有名额吗",
    "{time}的活动几点开始",
    "报名了，两大一小",
    "临时有事来不了，名额让给别人吧",
    "玩得很开心，下次还来",
    "照片发一下吧，拍得真好",
    "下次可以早一点通知吗",
    "群里消息太多，差点没看到",
    "免打扰开了，刚看到",
    "手机没电了，才回",
    "我朋友也想进群，怎么加",
    "我妈不会用小程序，可以到店买吗",
    "老人可以打电话订吗",
    "加我一个，我也报名",
    "加热一下更好吃",
    "加个塑料袋，谢谢",
    "车牌报一下，可以免停车费吗",
    "这个充电宝能上飞机吗",
    "电池要几号的",
    "灯泡是螺口的吗",
    "说明书丢了，怎么清零",
    "保修多久",
    "滤芯多久换一次",
    "声音有点大，正常吗",
    "试了一下，可以用了",
    "猫不吃这个口味，能换吗",
    "狗狗很喜欢，{unit}都吃完了",
    "中秋礼盒什么时候上",
    "年货可以提前订吗",
    "送人的话有礼袋吗",
    "帮我写张卡片，写妈妈节日快乐",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_lines_and_none_twice() {
        let distinct: std::collections::HashSet<_> = ORDINARY.iter().collect();
        assert!(distinct.len() >= 120, "{}", distinct.len());
        assert_eq!(distinct.len(), ORDINARY.len());
    }
}
