<?php
// Answers requests with the PHP parser; see the README of the kit.

const FRESH = ['error', 'broken_text'];
const KINDS = ['int', 'bool', 'bytes', 'str', 'size', 'absent', ...FRESH];

spl_autoload_register(function (string $name) use ($argv) {
    require $argv[1] . '/' . str_replace('\\', '/', $name) . '.php';
});
// A warning of the decoder is about the file.
set_error_handler(function (int $level, string $message) {
    throw new ErrorException($message, 0, $level);
});
require __DIR__ . '/Vhdx.php'; // compiled beside this file

/** The path leads nowhere. */
class NothingThere extends Exception
{
}

/** A file that is parsed when a value of it is asked for. */
class Image
{
    private ?Vhdx $root = null;

    public function __construct(private string $name)
    {
        if (!is_readable($name)) {
            throw new Exception("no $name");
        }
    }

    public function forget(): void
    {
        $this->root = null;
    }

    public function follow(string $path): mixed
    {
        $this->root ??= new Vhdx(new \Kaitai\Struct\Stream(fopen($this->name, 'rb')));
        $value = $this->root;
        preg_match_all('/\w+/', $path, $steps);
        foreach ($steps[0] as $step) {
            $value = ctype_digit($step[0]) ? self::element($value, (int) $step) : self::member($value, $step);
        }
        return $value;
    }

    private static function element(mixed $value, int $index): mixed
    {
        if (!is_array($value) || $index >= count($value)) {
            throw new NothingThere("no element $index");
        }
        return $value[$index];
    }

    private static function member(mixed $value, string $step): mixed
    {
        $name = lcfirst(pascal_case($step));
        if (!is_object($value) || !method_exists($value, $name)) {
            throw new NothingThere("no $step");
        }
        return $value->$name();
    }
}

function pascal_case(string $name): string
{
    return str_replace('_', '', ucwords($name, '_'));
}

/** An enum is a number here, and text is bytes: what was asked for tells them apart. */
function answer(string $kind, mixed $value): array
{
    if ($value === null) {
        return ['absent', ''];
    }
    if (is_bool($value)) {
        return ['bool', $value ? 'true' : 'false'];
    }
    if (is_int($value)) {
        return in_array($kind, KINDS) ? ['int', (string) $value] : [$kind, label($kind, $value)];
    }
    if (is_float($value)) {
        return ['nothing', "the floating-point number $value"];
    }
    if (is_string($value)) {
        $is_text = in_array($kind, ['str', 'broken_text']);
        return $is_text ? ['str', json_encode($value, JSON_THROW_ON_ERROR)] : ['bytes', bin2hex($value)];
    }
    return is_array($value) ? ['size', (string) count($value)] : ['object', get_class($value)];
}

function label(string $enum, int $number): string
{
    $name = array_search($number, (new ReflectionClass('Vhdx\\' . pascal_case($enum)))->getConstants(), true);
    return $name === false ? (string) $number : strtolower($name);
}

function main(string $requests): void
{
    foreach (file($requests, FILE_IGNORE_NEW_LINES) as $line) {
        [$kind, $path] = explode("\t", $line);
        if ($kind === 'open') {
            $image = new Image($path);
            fwrite(STDOUT, "opened\t\n");
            continue;
        }
        $is_fresh = in_array($kind, FRESH);
        if ($is_fresh) {
            $image->forget();
        }
        try {
            $got = answer($kind, $image->follow($path));
        } catch (NothingThere $mistake) {
            $got = ['nothing', $mistake->getMessage()];
        } catch (\Kaitai\Struct\Error\KaitaiError | ErrorException | JsonException $error) {
            $got = ['error', get_class($error)];
        } catch (Throwable $error) {
            $got = ['nothing', get_class($error) . ': ' . strtr($error->getMessage(), "\n", ' ')];
        }
        if ($is_fresh || $got[0] === 'error' || $got[0] === 'nothing') {
            $image->forget();
        }
        fwrite(STDOUT, implode("\t", $got) . "\n");
    }
}

main($argv[2]);
