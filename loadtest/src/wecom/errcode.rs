//! The platform's error codes, by name.
//!
//! Texts are free-form on the real platform and may change; nothing may depend on them.

macro_rules! codes {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        $(#[doc = concat!("`", $text, "`")] pub const $name: i64 = $code;)*

        /// The usual text of a code.
        pub(crate) fn text(code: i64) -> &'static str {
            match code {
                $($code => $text,)*
                _ => "error",
            }
        }
    };
}

codes! {
    BUSY = -1, "system busy";
    BAD_SECRET = 40001, "invalid credential";
    BAD_USERID = 40003, "invalid userid";
    BAD_MEDIA_TYPE = 40004, "invalid media type";
    BAD_MEDIA_ID = 40007, "invalid media_id";
    BAD_MSGTYPE = 40008, "invalid message type";
    BAD_CORPID = 40013, "invalid corpid";
    BAD_TOKEN = 40014, "invalid access_token";
    BAD_USERID_LIST = 40031, "invalid userid list";
    USERID_LIST_LENGTH = 40032, "invalid userid list size";
    BAD_JSON_ESCAPE = 40033, "invalid charset, use UTF-8 and no \\u escapes";
    INVALID_PARAMETER = 40035, "invalid parameter";
    BAD_CHATID = 40050, "invalid chatid";
    BAD_AGENTID = 40056, "invalid agentid";
    BAD_CALLBACK_URL = 40057, "callback url verification failed";
    BAD_PARAMETER = 40058, "invalid Request Parameter";
    EMPTY_PARAMETER = 40063, "some parameters are empty";
    BAD_EXTERNAL_USERID = 40096, "invalid external userid";
    BODY_TOO_LARGE = 40206, "request body too large";
    TOKEN_MISSING = 41001, "access_token missing";
    CORPID_MISSING = 41002, "corpid missing";
    SECRET_MISSING = 41004, "corpsecret missing";
    BAD_WELCOME_CODE = 41050, "invalid or expired welcome code";
    WELCOME_DONE = 41051, "welcome message already sent or chat started";
    WELCOME_IN_FLIGHT = 41096, "another app is sending a welcome message";
    TOKEN_EXPIRED = 42001, "access_token expired";
    FREQUENCY = 45009, "api freq out of limit";
    CONCURRENCY = 45033, "api concurrent out of limit";
    API_FORBIDDEN = 48002, "api forbidden";
    GROUP_DISMISSED = 49008, "chat is dismissed";
    APP_DISABLED = 50003, "app is disabled";
    BAD_CURSOR = 50100, "invalid cursor";
    NO_PRIVILEGE = 60011, "no privilege to access/modify contact/party/agent";
    UNTRUSTED_IP = 60020, "not allow to access from your ip";
    OUTSIDE_VISIBLE = 60030, "user outside the visible range";
    USERID_NOT_FOUND = 60111, "userid not found";
    TOO_MANY_REQUESTED = 81017, "too many users requested, use owner_filter";
    NO_EXTERNAL_CONTACT = 84061, "not external contact";
    CHATID_ILLEGAL = 86001, "illegal chatid";
    CHATID_UNKNOWN = 86003, "chatid not found";
    NOT_CUSTOMER_GROUP = 90501, "chat is not an external group chat";
    BAD_AGENT_RIGHT = 301_002, "no permission to operate the specified agent";
    BAD_STATISTIC_TIME = 600_018, "invalid start time or end time";
}
