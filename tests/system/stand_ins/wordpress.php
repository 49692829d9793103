<?php
// Stand-ins for the functions of WordPress and WooCommerce that the plugin of docs/integration.md calls,
// and a day in the life of one order. Prints what the plugin did as JSON.
//
// php wordpress.php PLUGIN PRODUCT_ID

define('ABSPATH', __DIR__);
define('BEACONLOG_URL', getenv('STATS_URL'));
define('BEACONLOG_TENANT', 1);
define('BEACONLOG_SLUG', 'la-colmena');
define('BEACONLOG_SECRET', getenv('STATS_SECRET'));

$hooks = [];
$scheduled = [];
$answers = [];
$sent = [];

function add_action(string $name, callable $work, int $priority = 10, int $arguments = 1): void
{
    $GLOBALS['hooks'][$name][] = [$work, $arguments];
}

function add_filter(string $name, callable $work, int $priority = 10, int $arguments = 1): void
{
    add_action($name, $work, $priority, $arguments);
}

function apply_filters(string $name, mixed ...$values): mixed
{
    foreach ($GLOBALS['hooks'][$name] ?? [] as [$work, $arguments]) {
        $values[0] = $work(...array_slice($values, 0, $arguments));
    }
    return $values[0];
}

function shown(string $action, mixed ...$values): string
{
    ob_start();
    foreach ($GLOBALS['hooks'][$action] ?? [] as [$work, $arguments]) {
        $work(...array_slice($values, 0, $arguments));
    }
    return ob_get_clean();
}

function esc_url(string $url): string
{
    return htmlspecialchars($url);
}

function esc_attr(string $text): string
{
    return htmlspecialchars($text);
}

function wp_json_encode(mixed $value, int $flags = 0): string
{
    return json_encode($value, $flags);
}

function is_product(): bool
{
    return true;
}

function get_queried_object_id(): int
{
    return (int) $GLOBALS['argv'][2];
}

function wc_get_is_paid_statuses(): array
{
    return ['processing', 'completed'];
}

function wp_schedule_single_event(int $at, string $hook, array $arguments): void
{
    $GLOBALS['scheduled'][] = ['in_s' => $at - time(), 'hook' => $hook, 'arguments' => $arguments];
}

function wp_remote_post(string $url, array $given): array
{
    $headers = ['User-Agent: WordPress/6.5; https://shop.example'];
    foreach ($given['headers'] as $name => $text) {
        $headers[] = "$name: $text";
    }
    $body = @file_get_contents($url, context: stream_context_create(['http' => [
        'method' => 'POST',
        'timeout' => $given['timeout'],
        'ignore_errors' => true,
        'header' => $headers,
        'content' => $given['body'],
    ]]));
    $status = $body === false ? '' : (int) substr($http_response_header[0], 9, 3);
    $GLOBALS['answers'][] = $body;
    $GLOBALS['sent'][] = json_decode($given['body']);
    return ['status' => $status, 'body' => $body];
}

function wp_remote_retrieve_response_code(array $response): int|string
{
    return $response['status'];
}

function wp_remote_retrieve_body(array $response): string
{
    return $response['body'];
}

class Product
{
    public function get_id(): int
    {
        return get_queried_object_id();
    }

    public function get_product_id(): int
    {
        return get_queried_object_id();
    }

    public function supports(string $feature): bool
    {
        return $feature === 'ajax_add_to_cart';
    }
}

class Order
{
    private array $meta = ['beaconlog_ref' => '#3F2A9C1B04'];

    public function update_meta_data(string $name, string $text): void
    {
        $this->meta[$name] = $text;
    }

    public function get_id(): int
    {
        return 7;
    }

    public function is_paid(): bool
    {
        return true;
    }

    public function get_items(): array
    {
        return [31 => new Product()];
    }

    public function get_total(): string
    {
        return '280.50';
    }

    public function get_currency(): string
    {
        return 'HNL';
    }

    public function get_meta(string $name): string
    {
        return $this->meta[$name] ?? '';
    }

    public function get_date_created(): DateTime
    {
        return $this->get_date_paid()->modify(getenv('CREATED') ?: '+0 days');
    }

    public function get_date_paid(): DateTime
    {
        return new DateTime('-1 hour');
    }

    public function get_customer_ip_address(): string
    {
        return '203.0.113.7';
    }

    public function get_customer_user_agent(): string
    {
        return 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36';
    }
}

function wc_get_order(int $id): Order|false
{
    return $id === 7 ? $GLOBALS['order'] : false;
}

include $argv[1];

$order = new Order();
$_SERVER['HTTP_SEC_GPC'] = getenv('SEC_GPC') ?: null;
$_SERVER['HTTP_REFERER'] = 'https://shop.example/finalizar-compra/?paso=2';
shown('woocommerce_checkout_create_order', $order);

$told = [
    'head' => shown('wp_head'),
    'button' => apply_filters('woocommerce_loop_add_to_cart_args', [], new Product()),
    'form' => shown('woocommerce_after_add_to_cart_form'),
    'thanks' => shown('woocommerce_thankyou', 7),
];
shown('woocommerce_order_status_changed', 7, 'pending', 'on-hold', new Order());
shown('woocommerce_order_status_changed', 7, 'on-hold', 'processing', new Order());
shown('woocommerce_order_status_changed', 7, 'processing', 'completed', new Order());
for ($place = 0; $place < count($scheduled); $place++) {
    shown($scheduled[$place]['hook'], ...$scheduled[$place]['arguments']);
}
echo json_encode($told + ['scheduled' => $scheduled, 'answers' => $answers, 'sent' => $sent]);
