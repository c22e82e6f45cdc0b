// Answers requests with the C++ parser; see the README of the kit.

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "kaitai/kaitaistream.h"
#include "vhdx.h"  // compiled beside this file

// What a path leads to: something to say, and the way on.
struct Value {
    std::string kind, text;
    std::function<Value(const std::string &)> step;

    Value(const std::string &kind, const std::string &text) : kind(kind), text(text) {}

    static Value absent() { return Value("absent", ""); }
    static Value nothing(const std::string &reason) { return Value("nothing", reason); }
};

inline Value show(bool value) { return Value("bool", value ? "true" : "false"); }

// Bytes and text are of one type here: what was asked for tells them apart.
inline Value show(const std::string &value) { return Value("string", value); }

template <typename T>
typename std::enable_if<std::is_integral<T>::value, Value>::type show(T value) {
    return Value("int", std::to_string(value));
}

template <typename T>
typename std::enable_if<std::is_base_of<kaitai::kstruct, T>::value, Value>::type show(T *node);

template <typename T>
Value show(const std::unique_ptr<T> &node) { return show(node.get()); }

template <typename T>
Value show(std::vector<T> *list) {
    if (list == nullptr) return Value::absent();
    Value value("size", std::to_string(list->size()));
    value.step = [list](const std::string &name) {
        bool is_index = std::isdigit(static_cast<unsigned char>(name[0])) != 0;
        size_t index = is_index ? std::stoul(name) : list->size();
        return index < list->size() ? show((*list)[index]) : Value::nothing("no element " + name);
    };
    return value;
}

template <typename T>
Value show_one_of(kaitai::kstruct *node) {
    T *found = dynamic_cast<T *>(node);
    return node == nullptr ? Value::absent() : found ? show(found) : Value::nothing("another type");
}

template <typename T, typename U, typename... Rest>
Value show_one_of(kaitai::kstruct *node) {
    T *found = dynamic_cast<T *>(node);
    return found ? show(found) : show_one_of<U, Rest...>(node);
}

#include "accessors.h"  // written by accessors.py

template <typename T>
typename std::enable_if<std::is_base_of<kaitai::kstruct, T>::value, Value>::type show(T *node) {
    if (node == nullptr) return Value::absent();
    Value value("object", "");
    value.step = [node](const std::string &name) { return get(node, name); };
    return value;
}

// A file that is parsed when a value of it is asked for.
class Image {
public:
    explicit Image(const std::string &name) : name_(name) {
        if (!std::ifstream(name, std::ios::binary)) throw std::runtime_error("no " + name);
    }

    void forget() { root_.reset(); stream_.reset(); file_.reset(); }

    Value follow(const std::string &path) {
        if (!root_) {
            file_.reset(new std::ifstream(name_, std::ios::binary));
            stream_.reset(new kaitai::kstream(file_.get()));
            root_.reset(new vhdx_t(stream_.get()));
        }
        Value value = show(root_.get());
        std::string step;
        for (char letter : path + ".") {
            if (std::isalnum(static_cast<unsigned char>(letter)) || letter == '_') {
                step += letter;
            } else if (!step.empty()) {
                value = value.step ? value.step(step) : Value::nothing("no " + step);
                step.clear();
            }
        }
        return value;
    }

private:
    std::string name_;
    std::unique_ptr<std::ifstream> file_;
    std::unique_ptr<kaitai::kstream> stream_;
    std::unique_ptr<vhdx_t> root_;
};

static std::string hexadecimal(const std::string &bytes) {
    std::string digits;
    for (unsigned char byte : bytes) {
        digits += "0123456789abcdef"[byte >> 4];
        digits += "0123456789abcdef"[byte & 15];
    }
    return digits;
}

static std::string quoted(const std::string &text) {
    std::string literal = "\"";
    for (unsigned char byte : text) {
        if (byte < ' ' || byte == '"' || byte == '\\') {
            literal += "\\u00" + hexadecimal(std::string(1, static_cast<char>(byte)));
        } else {
            literal += static_cast<char>(byte);
        }
    }
    return literal + "\"";
}

static Value answer(Image &image, const std::string &kind, const std::string &path) {
    Value value = image.follow(path);
    if (value.kind != "string") return value;
    bool is_text = kind == "str" || kind == "broken_text";
    return is_text ? Value("str", quoted(value.text)) : Value("bytes", hexadecimal(value.text));
}

int main(int, char **arguments) {
    std::ifstream requests(arguments[1]);
    std::unique_ptr<Image> image;
    for (std::string line; std::getline(requests, line);) {
        size_t tab = line.find('\t');
        std::string kind = line.substr(0, tab), path = line.substr(tab + 1);
        if (kind == "open") {
            image.reset(new Image(path));
            std::cout << "opened\t\n" << std::flush;
            continue;
        }
        bool is_fresh = kind == "error" || kind == "broken_text";
        if (is_fresh) image->forget();
        try {
            Value value = answer(*image, kind, path);
            std::cout << value.kind << '\t' << value.text << '\n';
        } catch (const std::exception &) {  // whatever a parser throws is about the file
            is_fresh = true;
            std::cout << "error\tstd::exception\n";
        }
        if (is_fresh) image->forget();
    }
}
