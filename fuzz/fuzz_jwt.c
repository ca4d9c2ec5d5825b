/* Tokens: the first line is a key set, the rest a token. Nothing that is accepted names an algorithm
 * without a private key, and claims that are good have a user. */
#include "jwt.h"
#include "oauth_claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct jwt *jwt) {
    const struct oauth_policy policy = {.issuers = STR("joe https://id.test"),
                                        .audience = STR("mail"),
                                        .scope = STR_EMPTY,
                                        .user = STR("email"),
                                        .clock_skew = 60};
    struct failure failure;
    struct str user = STR_EMPTY;
    if (oauth_claims_check(jwt->claims, &policy, 1300819300, &user, &failure) == OAUTH_GOOD &&
        (user.length == 0 || user.length > 256))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), set = STR_EMPTY, token = input;
    struct failure failure;
    struct jwt jwt;
    size_t left_out = 0;
    str_cut(input, '\n', &set, &token);
    struct jwt_keys *keys = jwt_keys_parse(set, &left_out, &failure);
    if (keys && (jwt_keys_count(keys) == 0 || jwt_keys_count(keys) > JWT_KEYS_MAX)) abort();
    if (jwt_parse(token, &jwt, &failure)) {
        if (!jwt_looks_like_one(token) || !jwt_algorithm_is_known(jwt.algorithm)) abort();
        if (str_starts(jwt.algorithm, STR("HS")) || str_equal_nocase(jwt.algorithm, STR("none"))) abort();
        if (keys) (void)!jwt_check(&jwt, keys);
        judge(&jwt);
        jwt_free(&jwt);
    }
    jwt_keys_free(&keys);
    return 0;
}
