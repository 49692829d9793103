<?php
// Stand-ins for the classes and functions of Laravel that the examples of docs/integration.md call.
//
// php laravel.php FOLDER
//
// FOLDER has the examples: SendSale.php (the job), dispatch.php (where the order is paid), and
// beaconlog.blade.php. A dispatched job runs at once. Prints the component, rendered.

namespace Illuminate\Contracts\Queue {
    interface ShouldQueue
    {
    }
}

namespace Illuminate\Foundation\Queue {
    trait Queueable
    {
        public static function dispatch(mixed ...$arguments): void
        {
            (new static(...$arguments))->handle();
        }
    }
}

namespace Illuminate\Support\Facades {
    class Log
    {
        public static function warning(string $message, array $context = []): void
        {
            fwrite(STDERR, "$message " . json_encode($context) . "\n");
        }
    }

    class Response
    {
        public function __construct(private int $status, private string $body)
        {
        }

        public function throw(): static
        {
            return $this->status < 400 ? $this : throw new \RuntimeException("HTTP status $this->status");
        }

        public function json(string $name): mixed
        {
            return json_decode($this->body, true)[$name] ?? null;
        }
    }

    class Http
    {
        private float $timeout_s = 30;
        private array $headers = [];
        private string $body = '';

        public static function timeout(int $seconds): static
        {
            $request = new static();
            $request->timeout_s = $seconds;
            return $request;
        }

        public function withBody(string $body, string $type): static
        {
            $this->body = $body;
            return $this->withHeaders(['Content-Type' => $type]);
        }

        public function withHeaders(array $headers): static
        {
            $this->headers += $headers;
            return $this;
        }

        public function post(string $url): Response
        {
            $lines = array_map(fn ($name) => "$name: {$this->headers[$name]}", array_keys($this->headers));
            $body = file_get_contents($url, context: stream_context_create(['http' => [
                'method' => 'POST',
                'timeout' => $this->timeout_s,
                'ignore_errors' => true,
                'header' => $lines,
                'content' => $this->body,
            ]]));
            return new Response((int) substr($http_response_header[0], 9, 3), $body);
        }
    }
}

namespace {
    function config(string $name): string
    {
        return getenv(['services.beaconlog.url' => 'STATS_URL', 'services.beaconlog.secret' => 'STATS_SECRET'][$name]);
    }

    class Moment extends DateTime
    {
        public function toIso8601String(): string
        {
            return $this->format(DATE_ATOM);
        }
    }

    $folder = $argv[1];
    include "$folder/SendSale.php";
    $shop = (object) ['id' => 1, 'slug' => 'la-colmena'];
    $product = (object) ['id' => 101];
    $order = (object) [
        'number' => 'L-1', 'total' => '280.50', 'currency' => 'HNL', 'product_id' => 101,
        'paid_at' => new Moment('-1 hour'), 'chat_ref' => null, 'path' => '/caja', 'ip' => '203.0.113.7',
        'user_agent' => 'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36',
    ];
    eval('use App\Jobs\SendSale; ' . file_get_contents("$folder/dispatch.php"));

    // Blade's echo and its two directives that the component has.
    $view = preg_replace(
        ['/@props\(.*\)\n/', '/{{ (.*?) }}/', '/@if \((.*?)\) /', '/ @endif/'],
        ['', '<?= htmlspecialchars($1) ?>', '<?php if ($1): ?>', '<?php endif ?>'],
        file_get_contents("$folder/beaconlog.blade.php")
    );
    eval("?>$view");
}
