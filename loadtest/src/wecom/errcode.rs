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
    BAD_FILE_TYPE = 40005, "invalid file type";
    BAD_FILE_SIZE = 40006, "invalid file size";
    BAD_MEDIA_ID = 40007, "invalid media_id";
    BAD_MSGTYPE = 40008, "invalid message type";
    BAD_IMAGE_SIZE = 40009, "invalid image size";
    BAD_VIDEO_SIZE = 40011, "invalid video size";
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
    MEDIA_MISSING = 41005, "media data missing";
    MEDIA_ID_MISSING = 41006, "media_id missing";
    NOBODY_TO_SEND = 41048, "nobody to send to";
    BAD_WELCOME_CODE = 41050, "invalid or expired welcome code";
    WELCOME_DONE = 41051, "welcome message already sent or chat started";
    TEMPLATE_QUOTA = 41055, "group welcome templates out of quota";
    NOT_CREATOR = 41058, "no right to edit a template of another app";
    DISPATCHING = 41063, "mass message is being dispatched";
    TOO_MANY_ATTACHMENTS = 41064, "too many attachments";
    BAD_ATTACHMENT = 41065, "invalid attachment";
    WORD_COUNT = 41068, "invalid size of word_list";
    RULE_QUOTA = 41069, "intercept rules out of quota";
    RULE_UNKNOWN = 41070, "intercept rule not found";
    RULE_DELETED = 41071, "intercept rule deleted";
    BAD_RULE_RANGE = 41076, "invalid applicable_range";
    BAD_RULE_NAME = 41077, "invalid rule_name";
    BAD_WORD = 41083, "invalid length of a word";
    BAD_SEMANTICS = 41084, "invalid semantics_list";
    CANCELLED = 41093, "mass message is cancelled";
    REMINDED_OUT = 41094, "too many reminders within 24 hours";
    WELCOME_IN_FLIGHT = 41096, "another app is sending a welcome message";
    TOKEN_EXPIRED = 42001, "access_token expired";
    BAD_CARD = 42027, "invalid template_card";
    MSGID_EXPIRED = 42052, "msgid expired";
    EMPTY_MEDIA = 44001, "empty media data";
    EMPTY_CONTENT = 44004, "empty content";
    MEDIA_TOO_LARGE = 45001, "media too large";
    CONTENT_TOO_LARGE = 45002, "content too large";
    NEEDS_GET = 43001, "require GET method";
    NEEDS_POST = 43002, "require POST method";
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
    ALL_TARGETS_ILLEGAL = 81013, "all targets are illegal";
    TOO_MANY_REQUESTED = 81017, "too many users requested, use owner_filter";
    NO_VALID_TARGET = 82001, "no valid target";
    NO_EXTERNAL_CONTACT = 84061, "not external contact";
    CHATID_ILLEGAL = 86001, "illegal chatid";
    CHATID_UNKNOWN = 86003, "chatid not found";
    BAD_CHAT_OWNER = 86005, "invalid chat owner";
    CHAT_MEMBER_COUNT = 86006, "invalid size of userlist";
    BAD_CHAT_MEMBER = 86007, "invalid chat member";
    NOT_OWN_CHAT = 86008, "chat not created by this app";
    CHAT_PARAMETER_MISSING = 86201, "missing chat parameter";
    OWNER_NOT_IN_LIST = 86207, "owner not in userlist";
    CHAT_EXISTS = 86215, "chatid exists";
    OWNER_NOT_LEFT = 90500, "group owner has not left";
    NOT_CUSTOMER_GROUP = 90501, "chat is not an external group chat";
    OWNER_LEFT = 90502, "group owner has left";
    HEIR_FULL = 90508, "new owner takes over too many groups today";
    TRANSFERRED_OUT = 90509, "group was transferred too often";
    ROBOT_BAD_KEY = 93000, "invalid webhook url";
    ROBOT_DISABLED = 93004, "robot is disabled";
    ROBOT_NOT_IN_GROUP = 93008, "robot is not in the group";
    BAD_AGENT_RIGHT = 301_002, "no permission to operate the specified agent";
    BAD_STATISTIC_TIME = 600_018, "invalid start time or end time";
}
