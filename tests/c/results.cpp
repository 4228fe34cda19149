// Results that may be missing or 0 and, one case at a time, those that may not. See tests/tests/c_header.rs.
#include <static_call.h>

enum class Small : unsigned char { none };
struct Object {
	int field;
};

static DEFINE_STATIC_CALL_NULL(nothing, void(int));
static DEFINE_STATIC_CALL_NULL(member, int Object::*(int));
static DEFINE_STATIC_CALL_NULL(null, decltype(nullptr)(int));
static DEFINE_STATIC_CALL_NULL(constant, const int(int));
static void begin(int) {}
static DEFINE_STATIC_CALL_COND(begins_on, begin);
static DEFINE_STATIC_CALL_RET0(boolean, bool(int));
static DEFINE_STATIC_CALL_RET0(enumeration, Small(int));
static DEFINE_STATIC_CALL_RET0(pointer, const volatile char *const(int));
static DEFINE_STATIC_CALL_RET0(wide, unsigned long long(int, ...));
static DEFINE_STATIC_CALL_RET0(function, void (*(int))());
#if CASE == 1
static DEFINE_STATIC_CALL_NULL(wrong, double(int)); // On i686, its caller pops it from the x87 stack.
#elif CASE == 2
static DEFINE_STATIC_CALL_NULL(wrong, long double(int));
#elif CASE == 3
static DEFINE_STATIC_CALL_NULL(wrong, int &(int));
#elif CASE == 4
static DEFINE_STATIC_CALL_NULL(wrong, Object(int));
#elif CASE == 5
static DEFINE_STATIC_CALL_RET0(wrong, int Object::*(int));
#elif CASE == 6
static DEFINE_STATIC_CALL_RET0(wrong, double(int));
#elif CASE == 7
static Object object(int field) { return { field }; }
static DEFINE_STATIC_CALL_COND(wrong, object);
#endif

void call_all();
void call_all()
{
	static_call_cond(nothing, 1);
	static_call_cond(begins_on, 1);
	static_call_cond(member, 1);
	static_call_cond(null, 1);
	static_call_cond(constant, 1);
	static_cast<void>(static_call(boolean, 1) && static_call(enumeration, 1) == Small::none);
	static_cast<void>(static_call(pointer, 1) && static_call(wide, 1, 2) && static_call(function, 1));
}
